"""The float16 variant: convolutions and per-frame network in half precision, for GPUs.

The front end squares and takes logarithms of what may be very small, and pooling adds up many
frames: both stay in float32.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor

from training.model.encoder import AudioEncoder
from training.model.model import EmbeddingModel


class HalfEncoder(AudioEncoder):
    """An encoder that takes and gives float32 and computes in float16."""

    def frames(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        n_frames: Int[Tensor, " batch"] | None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch out_frames dim"]:
        """Encode every frame; see ``AudioEncoder.frames``."""
        return super().frames(log_mel.half(), n_frames, generator).float()


def half_precision(model: EmbeddingModel) -> EmbeddingModel:
    """Copy a model with the weights of its encoder rounded to float16."""
    encoder = HalfEncoder()
    encoder.load_state_dict(model.encoder.state_dict())
    halved = copy.deepcopy(model)
    halved.encoder = encoder.half()
    return halved.eval()
