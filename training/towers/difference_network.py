"""A trained correction to the weighted subtraction of a reference."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class DifferenceNetwork(nn.Module):
    """Subtracts a reference from a mixture, both normalised by the audio tower.

    The remainder is ``m - w r + (w / w0) c(m, r)`` with the mixture m, the reference r relative to
    the mean, its weight w and the bundle's weight w0. The correction c is a network with one hidden
    layer. It starts at zero, so that the untrained remainder is that of
    `service.difference.remainder`, and at weight 0 the remainder is the mixture.

    Args:
        n_inputs: Length of a normalised embedding.
        width: Width of the hidden layer.
        dropout: Dropout of the hidden layer.
    """

    def __init__(self, n_inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.entry = nn.Linear(2 * n_inputs, width)
        self.dropout = nn.Dropout(dropout)
        self.exit = nn.Linear(width, n_inputs)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(
        self,
        mixture: Float[Tensor, "batch inputs"],
        reference: Float[Tensor, "batch inputs"],
        weight: Float[Tensor, "batch 1"],
        strength: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, "batch inputs"]:
        """Return the remainder of each mixture.

        Args:
            mixture: Normalised embeddings.
            reference: Normalised embeddings relative to the mean.
            weight: Weight of the reference, w.
            strength: Strength of the correction, w / w0.
        """
        hidden = functional.gelu(self.entry(torch.cat([mixture, reference], dim=1)))
        correction: Tensor = self.exit(self.dropout(hidden))
        return mixture - weight * reference + strength * correction
