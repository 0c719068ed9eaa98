"""The losses of the paper: equation 1 and equation 3 have one form."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


def normalised_squared_error(
    prediction: Float[Tensor, "batch projection"], target: Float[Tensor, "batch projection"]
) -> Float[Tensor, ""]:
    """Squared distance of the unit vectors, ``2 - 2 cos``, averaged over the batch.

    Between 0 (same direction) and 4 (opposite).

    Reference: Takeuchi et al., equations 1 and 3.
    """
    return (2.0 - 2.0 * nn.functional.cosine_similarity(prediction, target, dim=1)).mean()


def weighted_sum(
    byol: Float[Tensor, ""], difference: Float[Tensor, ""], lambda_: float
) -> Float[Tensor, ""]:
    """``(1 - lambda) L_byol + lambda L_diff`` (paper, section 4)."""
    return (1.0 - lambda_) * byol + lambda_ * difference
