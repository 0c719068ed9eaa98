"""The losses of the paper: equation 1 and equation 3 have one form."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def normalised_squared_error(
    prediction: Float[Tensor, "batch projection"], target: Float[Tensor, "batch projection"]
) -> Float[Tensor, ""]:
    """Squared distance of the unit vectors, ``2 - 2 cos``, averaged over the batch.

    Between 0 (same direction) and 4 (opposite); in float32 at least, since near the end of a
    training 1 - cos is smaller than what bfloat16 can tell from 0.

    Reference: Takeuchi et al., equations 1 and 3.
    """
    full = torch.promote_types(prediction.dtype, torch.float32)
    cosine = nn.functional.cosine_similarity(prediction.to(full), target.to(full), dim=1)
    return (2.0 - 2.0 * cosine).mean()


def weighted_sum(
    byol: Float[Tensor, ""], difference: Float[Tensor, ""], lambda_: float
) -> Float[Tensor, ""]:
    """``(1 - lambda) L_byol + lambda L_diff`` (paper, section 4)."""
    return (1.0 - lambda_) * byol + lambda_ * difference
