"""Levels of a file, measured block by block while it is decoded; no samples are kept.

`InputMeter` measures the source before it is mixed down and resampled: level, clipping and silence.
They show when the input has changed, for example by a broken microphone or a higher gain, which no
answer of the service shows. `WaveformMeter` measures the waveform that the encoder receives.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

FRAME_S = 0.02
"""Length of the frames that are counted as silent or not [s]."""
SILENCE_DBFS = -60.0
"""A frame with a lower level is silent. Most rooms and recorders have louder noise [dB]."""
FULL_SCALE = 32767 / 32768
"""The largest value of 16 bits; a sample that reaches it is most likely clipped."""
LOWEST_DBFS = -120.0
"""Level that is reported for digital silence [dB]."""
SUMMED_SAMPLES = 1024
"""Samples whose squares are summed in float32; longer sums would lose quiet parts."""


@dataclass(frozen=True, slots=True)
class InputReading:
    """Measurements of the source of one file.

    Attributes:
        sample_rate_hz: Sample rate, before resampling [Hz].
        duration_s: Length [s].
        level_dbfs: Mean power of all channels relative to full scale; a sine of full scale has
            -3 [dB].
        clipped_share: Share of the samples that reach full scale, 0 to 1.
        silent_share: Share of the time that is silent, 0 to 1.
    """

    sample_rate_hz: int
    duration_s: float
    level_dbfs: float
    clipped_share: float
    silent_share: float


class InputMeter:
    """Measures the source of one file.

    Args:
        sample_rate_hz: Sample rate of the source [Hz].
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._frame_samples = max(1, round(FRAME_S * sample_rate_hz))
        self._energy = 0.0
        self._n_samples_by_channel = 0
        self._n_samples = 0
        self._n_clipped = 0
        self._n_silent = 0

    def add(self, block: Float32[np.ndarray, "samples channels"], peak: float) -> None:
        """Measure the next block.

        The block is cut into frames of `FRAME_S`; its last frame may be shorter.

        Args:
            block: Samples of the source, finite; at least one of each channel.
            peak: Largest magnitude in the block.
        """
        n_samples, n_channels = block.shape
        n_framed = n_samples - n_samples % self._frame_samples
        frames = np.ascontiguousarray(block[:n_framed])
        self._add_frames(frames.reshape(-1, self._frame_samples * n_channels), n_channels)
        if n_framed < n_samples:
            self._add_frames(block[n_framed:].reshape(1, -1), n_channels)
        if peak >= FULL_SCALE:
            self._n_clipped += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))

    def _add_frames(self, frames: Float32[np.ndarray, "frames samples"], n_channels: int) -> None:
        energies = np.einsum("fs,fs->f", frames, frames)
        is_silent = energies < frames.shape[1] * 10 ** (SILENCE_DBFS / 10)
        self._energy += float(energies.sum(dtype=np.float64))
        self._n_samples += frames.size
        self._n_samples_by_channel += frames.size // n_channels
        self._n_silent += int(is_silent.sum()) * (frames.shape[1] // n_channels)

    def reading(self) -> InputReading:
        """Return the measurements; at least one block was added."""
        power = self._energy / self._n_samples
        lowest = 10 ** (LOWEST_DBFS / 10)
        return InputReading(
            sample_rate_hz=self._rate_hz,
            duration_s=self._n_samples_by_channel / self._rate_hz,
            level_dbfs=10 * math.log10(max(power, lowest)),
            clipped_share=self._n_clipped / self._n_samples,
            silent_share=self._n_silent / self._n_samples_by_channel,
        )


class WaveformMeter:
    """Measures a mono waveform: its mean square and, if asked for, its SHA-256.

    Args:
        hashed: Whether to compute the digest.
    """

    def __init__(self, *, hashed: bool = False) -> None:
        self._digest = hashlib.sha256() if hashed else None
        self._sum = 0.0
        self._n_samples = 0

    def add(self, block: Float32[np.ndarray, " samples"]) -> None:
        """Measure the next block."""
        if self._digest is not None:
            self._digest.update(np.ascontiguousarray(block).data)
        n_rows = block.size // SUMMED_SAMPLES
        rows = block[: n_rows * SUMMED_SAMPLES].reshape(n_rows, SUMMED_SAMPLES)
        rest = block[n_rows * SUMMED_SAMPLES :]
        self._sum += float(np.einsum("rs,rs->r", rows, rows).sum(dtype=np.float64))
        self._sum += float(np.einsum("s,s->", rest, rest))
        self._n_samples += block.size

    @property
    def mean_square(self) -> float:
        """The mean square of the samples so far; 0 before the first sample."""
        return self._sum / max(self._n_samples, 1)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the samples so far; empty if it was not asked for."""
        return b"" if self._digest is None else self._digest.digest()


def level_difference_db(mixture: float, references: Sequence[float]) -> float | None:
    """Return the RMS level of a mixture relative to that of its references [dB].

    Args:
        mixture: Mean square of the mixture.
        references: Mean squares of the references, at least one; their power is averaged.

    Returns:
        None if one of the two is digital silence, which has no level.
    """
    reference = math.fsum(references) / len(references)
    if mixture == reference:
        return 0.0
    if mixture == 0 or reference == 0:
        return None
    return 10.0 * math.log10(mixture / reference)
