"""The tagger: probabilities of the tags of every token, from two layers of the text encoder."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from service.inference.understanding import TAGS

WIDTH = 192
DILATIONS = (1, 2, 4)  # together the convolutions see seven tokens on either side
DROPOUT = 0.2


class Tagger(nn.Module):
    """A linear layer, three residual convolutions, and a linear layer.

    Args:
        n_inputs: Length of the states of a token.
    """

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.entry = nn.Linear(n_inputs, WIDTH)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.exit = nn.Linear(WIDTH, len(TAGS))

    def forward(
        self, states: Float[Tensor, "batch tokens states"], mask: Int64[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens classes"]:
        """Return logits; the states where the mask is 0 are ignored."""
        is_token = mask[..., None] > 0
        hidden = self.entry(self.dropout(states))
        for convolution in self.convolutions:
            # A convolution pads a text with zeros at its ends, so padding must be zeros, too.
            rectified = torch.where(is_token, nn.functional.gelu(hidden), 0.0)
            hidden = hidden + convolution(self.dropout(rectified).transpose(1, 2)).transpose(1, 2)
        logits: Tensor = self.exit(self.dropout(self.norm(hidden)))
        return logits

    def probabilities(
        self, states: Float[Tensor, "batch tokens states"], mask: Int64[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens classes"]:
        """Return the probabilities of the tags."""
        return torch.softmax(self(states, mask), dim=-1)
