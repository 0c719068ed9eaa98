"""The float16 variant for GPUs: convolutions and per-frame network in float16.

The front end computes squares and logarithms of very small values, and pooling adds up many
frames; both stay in float32.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor

from training.model.encoder import AudioEncoder
from training.model.model import EmbeddingModel


class Float16Encoder(AudioEncoder):
    """An encoder with inputs and outputs in float32 that computes in float16."""

    def frames(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        n_frames: Int[Tensor, " batch"] | None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch out_frames dim"]:
        """Encode every frame; see ``AudioEncoder.frames``."""
        return super().frames(log_mel.half(), n_frames, generator).float()


def to_float16(model: EmbeddingModel) -> EmbeddingModel:
    """Copy a model; the weights of its encoder are rounded to float16."""
    encoder = Float16Encoder()
    encoder.load_state_dict(model.encoder.state_dict())
    rounded = copy.deepcopy(model)
    rounded.encoder = encoder.half()
    return rounded.eval()
