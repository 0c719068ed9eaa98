"""The encoder AudioNTT2022: normalised log-mel to embedding (paper, section 3; BYOL-A v2)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.model.first_block import first_block, is_faster_for

CHANNELS = 64
HIDDEN = 2048
LOCAL = 1024  # 16 frequency bands of 64 channels, per frame
DIM = 3072  # local features and the 2048 outputs of the per-frame network
DROPOUT = 0.3
KEPT = 45_875  # of 65,536 values of 16 random bits: 1 - DROPOUT to 3e-6
TIME_STRIDE = 4  # log-mel frames per encoder frame
PARTIAL_FRAMES = 5  # encoder frames per partial sum and maximum


class AudioEncoder(nn.Module):
    """Two convolution blocks, a per-frame network, and mean + max over time.

    The 1024 local features of a frame (frequency-major, channel fastest) are joined by the 2048
    outputs of the per-frame network. The embedding is the raw pooled vector, never normalised:
    differences are taken on it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(CHANNELS)
        self.linear1 = nn.Linear(LOCAL, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, DIM - LOCAL)

    def forward(
        self,
        log_mel: Float[Tensor, "batch mels frames"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """Embed clips that fill the whole batch, as training does.

        Args:
            log_mel: Normalised log-mel, at least 4 frames.
            generator: Source of the dropout in training mode; not used in evaluation mode.
        """
        frames = self.frames(log_mel, None, generator)
        # In bfloat16 `mean` would copy all frames to float32, and `amax`, which shares its gradient
        # among equal ones, take longer than `max`.
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
            n_frames: Valid frames of each clip; what lies beyond is taken as the zeros that the
                convolutions pad with, so a clip does not depend on its batch. None: all.
            generator: Source of the dropout in training mode.
        """
        x = log_mel.transpose(1, 2)
        if self.training and n_frames is None and is_faster_for(x):
            x = first_block(x, self.conv1, self.norm1)
        else:
            x = _pool(self.norm1(self.conv1(_keep(x.unsqueeze(1), n_frames))))
        n_frames = None if n_frames is None else n_frames // 2
        x = _pool(self.norm2(self.conv2(_keep(x, n_frames))))
        local = x.permute(0, 2, 3, 1).flatten(2)
        hidden = self.linear1(local)
        if self.training:
            hidden = dropout(hidden, generator)  # before the ReLU, which may then work in place
        return torch.cat([local, self.linear2(hidden.relu_()).relu_()], dim=2)


def dropout(
    x: Float[Tensor, "*shape"], generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """Drop values with probability 0.3, drawn from ``generator`` and not from global state.

    One draw of 64 bits decides on four values, 16 bits on each; ``bernoulli_`` would draw for
    each, and draws are made one after the other.
    """
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    words.random_(-(2**63), None, generator=generator)  # all 64 bits, unlike without bounds
    drawn = words.view(torch.int16)[: x.numel()].view(x.shape)
    kept = (drawn < KEPT - 2**15).to(x.dtype)
    return x * kept.div_(1.0 - DROPOUT)


def pool_partials(
    frames: Float[Tensor, "batch frames dim"], n_frames: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch partials dim"], Float[Tensor, "batch partials dim"]]:
    """Sum and maximise the valid frames of every 0.2 s.

    Encoder frames are never negative, so a partial without a valid frame is 0 in both.
    """
    batch, length, dim = frames.shape
    valid = frame_mask(n_frames, length).unsqueeze(2)
    frames = torch.where(valid, frames, 0.0)
    padded = nn.functional.pad(frames, (0, 0, 0, PARTIAL_FRAMES - 1))
    partials = (length + PARTIAL_FRAMES - 1) // PARTIAL_FRAMES
    groups = padded[:, : partials * PARTIAL_FRAMES].reshape(batch, partials, PARTIAL_FRAMES, dim)
    return groups.sum(dim=2), groups.amax(dim=2)


def frame_mask(n_frames: Int[Tensor, " batch"], length: int) -> Bool[Tensor, "batch frames"]:
    """Mark the valid frames of each clip; in 32 bits, which ONNX Runtime compares faster."""
    positions = torch.arange(length, dtype=torch.int32, device=n_frames.device)
    return positions < n_frames.int().unsqueeze(1)


def _keep(
    x: Float[Tensor, "batch channels frames mels"], n_frames: Int[Tensor, " batch"] | None
) -> Float[Tensor, "batch channels frames mels"]:
    if n_frames is None:
        return x
    mask = frame_mask(n_frames, x.shape[2])[:, None, :, None]
    return torch.where(mask, x, 0.0)


def _pool(
    x: Float[Tensor, "batch channels frames mels"],
) -> Float[Tensor, "batch channels half_frames half_mels"]:
    """Halve both axes by maximum, then rectify: the order of the two does not matter."""
    return nn.functional.max_pool2d(x, 2).relu()
