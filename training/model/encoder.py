"""The encoder AudioNTT2022 of BYOL-A v2: normalised log-mel to embedding (paper, section 3)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.model import encoder_cpu_kernels

CHANNELS = 64
HIDDEN = 2048
LOCAL = 1024  # 16 frequency bands of 64 channels, per frame
DIM = 3072  # local features and the 2048 outputs of the per-frame network
DROPOUT = 0.3
KEEP_LEVELS = 45_875  # of the 65,536 values of 16 random bits: 1 - DROPOUT to 3e-6
TIME_STRIDE = 4  # log-mel frames per encoder frame
PARTIAL_FRAMES = 5  # encoder frames per partial sum and maximum


class AudioEncoder(nn.Module):
    """Two convolution blocks, a per-frame network, and mean plus maximum over time.

    A frame has 1024 local features (frequency-major, channel fastest) and the 2048 outputs of the
    per-frame network. The embedding is the pooled vector; it is not normalised, since differences
    are computed on it (docs/method.md, "Encoder network").
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(CHANNELS)
        self.pool = nn.Sequential(nn.MaxPool2d(2), nn.ReLU())  # of both blocks
        self.linear1 = nn.Linear(LOCAL, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, DIM - LOCAL)

    def forward(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """Embed clips that all have the length of the batch, as in training.

        Args:
            log_mel: Normalised log-mel, at least 4 frames.
            generator: Source of the dropout in training mode; not used in evaluation mode.
        """
        frames = self.frames(log_mel, None, generator)
        # In bfloat16, `mean` would copy all frames to float32, and `amax`, which shares its
        # gradient among equal values, would take longer than `max`.
        return frames.sum(dim=1) / frames.shape[1] + frames.max(dim=1).values

    def frames(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        n_frames: Int[Tensor, " batch"] | None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch out_frames dim"]:
        """Encode every frame; ``out_frames = frames // 2 // 2``, all values at least 0.

        Args:
            log_mel: Normalised log-mel.
            n_frames: Number of valid frames of each clip; None if all are. The others count as
                zeros, which is what convolutions pad with, so a clip does not depend on its batch.
            generator: Source of the dropout in training mode.
        """
        x = log_mel.transpose(1, 2)
        first = (self.conv1, self.norm1, self.pool)
        if self.training and n_frames is None and encoder_cpu_kernels.can_compute(x, *first):
            x = encoder_cpu_kernels.first_block(x, *first)
        else:
            x = self.pool(self.norm1(self.conv1(_mask(x.unsqueeze(1), n_frames))))
        n_frames = None if n_frames is None else n_frames // 2
        x = self.pool(self.norm2(self.conv2(_mask(x, n_frames))))
        local = x.permute(0, 2, 3, 1).flatten(2)
        hidden = self.linear1(local)
        if self.training:
            hidden = dropout(hidden, generator)  # before ReLU, which can then work in place
        return torch.cat([local, self.linear2(hidden.relu_()).relu_()], dim=2)


def dropout(
    x: Float[Tensor, "*shape"], generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """Zero values with probability 0.3, by ``generator`` alone, and scale the others.

    64 random bits decide on four values, 16 bits on each. ``bernoulli_`` would draw a number for
    each value, and numbers are drawn one after the other.
    """
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    words.random_(-(2**63), None, generator=generator)  # all 64 bits, unlike without bounds
    drawn = words.view(torch.int16)[: x.numel()].view(x.shape)
    mask = (drawn < KEEP_LEVELS - 2**15).to(x.dtype)
    return x * mask.div_(1.0 - DROPOUT)


def pool_partials(
    frames: Float[Tensor, "batch frames dim"], n_frames: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch partials dim"], Float[Tensor, "batch partials dim"]]:
    """Compute sum and maximum of the valid frames of every 0.2 s.

    Encoder frames are at least 0, so both are 0 where no frame is valid.
    """
    batch, length, dim = frames.shape
    valid = frame_mask(n_frames, length).unsqueeze(2)
    frames = torch.where(valid, frames, 0.0)
    padded = nn.functional.pad(frames, (0, 0, 0, PARTIAL_FRAMES - 1))
    partials = (length + PARTIAL_FRAMES - 1) // PARTIAL_FRAMES
    groups = padded[:, : partials * PARTIAL_FRAMES].reshape(batch, partials, PARTIAL_FRAMES, dim)
    return groups.sum(dim=2), groups.amax(dim=2)


def frame_mask(n_frames: Int[Tensor, " batch"], length: int) -> Bool[Tensor, "batch frames"]:
    """Mark the valid frames of each clip. ONNX Runtime compares 32 bits faster than 64."""
    positions = torch.arange(length, dtype=torch.int32, device=n_frames.device)
    return positions < n_frames.int().unsqueeze(1)


def _mask(
    x: Float[Tensor, "batch channels frames mels"], n_frames: Int[Tensor, " batch"] | None
) -> Float[Tensor, "batch channels frames mels"]:
    """Zero the invalid frames."""
    if n_frames is None:
        return x
    mask = frame_mask(n_frames, x.shape[2])[:, None, :, None]
    return torch.where(mask, x, 0.0)
