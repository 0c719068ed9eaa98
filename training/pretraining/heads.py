"""Projector and predictors, which exist in training only (docs/method.md, A14)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

PROJECTION = 256
HIDDEN = 4096


class Head(nn.Module):
    """Linear, BatchNorm, ReLU, Linear: the form of BYOL's projector and predictors.

    Args:
        dim: Length of the input.
        out: Length of the output.
    """

    def __init__(self, dim: int, out: int = PROJECTION) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out)
        )

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch out"]:
        """Compute a projection or a prediction, not normalised."""
        projected: Tensor = self.layers(x)
        return projected
