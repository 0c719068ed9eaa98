"""The mixture branch: shift, and the log-sum-exp mixture of equation 2."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def shift(x: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
    """Roll by one along the batch: sample n becomes sample n + 1, the last becomes the first."""
    return x.roll(-1, dims=0)


def draw_gamma(
    like: Float[Tensor, "batch *rest"], bounds: tuple[float, float], generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Draw one mixing rate per sample, uniform between the bounds (paper, section 5.1)."""
    low, high = bounds
    uniform = torch.rand(len(like), generator=generator, device=like.device)
    return low + (high - low) * uniform


def mix_with_shifted(
    view: Float[Tensor, "batch mels frames"],
    gamma: Float[Tensor, " batch"],
    *,
    spread: float | Float[Tensor, ""] = 1.0,
) -> Float[Tensor, "batch mels frames"]:
    """Mix each view with the next one of the batch.

    ``w = ln(gamma exp(s(v)) + (1 - gamma) exp(v))`` with ``s`` the shift, computed without
    overflow. ``gamma`` weighs the shifted sound, the one that is subtracted later.

    Args:
        view: Augmented log-mel as the encoder sees it.
        gamma: Mixing rate of each sample, above 0 and below 1.
        spread: Standard deviation in nats that one unit of ``view`` stands for. With 1 the
            mixture is taken on the normalised values, as equation 2 is written; with the true
            spread it is taken on mel power (the offset of the normalisation cancels).

    Reference: Takeuchi et al., equation 2.
    """
    rate = gamma[:, None, None]
    other = rate.log() + spread * shift(view)
    own = torch.log1p(-rate) + spread * view
    return torch.logaddexp(other, own) / spread
