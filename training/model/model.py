"""The exported model: from waveform to embedding, normalisation included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from training.model.encoder import TIME_STRIDE, AudioEncoder, frame_mask, pool_partials
from training.model.frontend import HOP_LENGTH, LogMel

MIN_SAMPLES = 480  # the shortest clip of one encoder frame; shorter ones are padded with zeros
CROP_SAMPLES = 15_200  # 0.95 s, 96 log-mel frames: the length of a training crop


class ModelOutput(NamedTuple):
    """The outputs of the exported graph.

    Attributes:
        embedding: Mean over frames plus maximum over frames.
        sums: Sum of the frames of every 0.2 s.
        maxima: Maximum of the frames of every 0.2 s.
    """

    embedding: Float[Tensor, "batch dim"]
    sums: Float[Tensor, "batch partials dim"]
    maxima: Float[Tensor, "batch partials dim"]


class EmbeddingModel(nn.Module):
    """Front end, normalisation statistics and encoder.

    The statistics are one mean and one standard deviation of the training log-mel
    (docs/method.md, "Normalisation statistics"). They are buffers, saved with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.frontend = LogMel()
        self.encoder = AudioEncoder()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def log_mel(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Compute the log-mel spectrogram, normalised by the statistics of the training data."""
        normalised: Tensor = (self.frontend(waveform) - self.mean) / self.std
        return normalised

    @torch.no_grad()
    def fit_statistics(self, waveforms: Iterable[Float[Tensor, "batch samples"]]) -> None:
        """Set the statistics to those of all log-mel values of some waveforms."""
        count, total, squares = 0, 0.0, 0.0
        for waveform in waveforms:
            log_mel = self.frontend(waveform).double()
            count += log_mel.numel()
            total += float(log_mel.sum())
            squares += float(log_mel.square().sum())
        mean = total / count
        self.mean.fill_(mean)
        self.std.fill_(math.sqrt(squares / count - mean**2))

    def forward(
        self, waveform: Float[Tensor, "batch samples"], lengths: Int[Tensor, " batch"]
    ) -> ModelOutput:
        """Embed clips of any length; the result for a clip does not depend on its batch.

        Args:
            waveform: Mono sound at 16 kHz, full scale 1.
            lengths: Number of valid samples of each clip, at least 1. The others are ignored,
                also if they are not finite. A clip below 480 samples counts as 480, with zeros.
        """
        waveform = mask_and_pad(waveform, lengths)
        n_log_mel = 1 + lengths.clamp(min=MIN_SAMPLES) // HOP_LENGTH
        frames = self.encoder.frames(self.log_mel(waveform), n_log_mel)
        n_frames = n_log_mel // TIME_STRIDE
        sums, maxima = pool_partials(frames, n_frames)
        mean = sums.sum(dim=1) / n_frames.unsqueeze(1)
        return ModelOutput(mean + maxima.amax(dim=1), sums, maxima)


def mask_and_pad(
    waveform: Float[Tensor, "batch samples"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch fitted"]:
    """Zero the samples beyond each length; pad the batch to at least 15,200 samples."""
    samples = waveform.shape[1]
    valid = frame_mask(lengths, samples)
    waveform = torch.where(valid, waveform, 0.0)
    extended = nn.functional.pad(waveform, (0, CROP_SAMPLES))
    return extended[:, : torch.sym_max(samples, CROP_SAMPLES)]
