"""What comes in, measured while it is decoded: level, clipping, silence.

An encoder answers best for sounds like those it was trained on and chosen by. That what comes in
has changed, a microphone that died or a gain that was turned up, shows here and in no answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

FRAME_S = 0.02
SILENCE_DBFS = -60.0
"""A frame whose level is below it is silent: under the noise of most rooms and recorders."""

FULL_SCALE = 32767 / 32768
"""The largest value of 16 bits; a sample that reaches it was most likely cut off."""

LOWEST_DBFS = -120.0
"""Level of digital silence, which has none."""


@dataclass(frozen=True, slots=True)
class InputReading:
    """What was measured of one file.

    Attributes:
        sample_rate_hz: Its rate, before resampling [Hz].
        duration_s: Its length [s].
        level_dbfs: Its mean power relative to full scale, all channels taken together; a sine of
            full scale has -3 [dB].
        clipped_share: Share of its samples that reach full scale, 0 to 1.
        silent_share: Share of its time that is silent, 0 to 1.
    """

    sample_rate_hz: int
    duration_s: float
    level_dbfs: float
    clipped_share: float
    silent_share: float


class InputMeter:
    """Measures one file, block by block.

    Args:
        sample_rate_hz: Its rate [Hz].
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._frame = max(1, round(FRAME_S * sample_rate_hz))
        self._energy = 0.0
        self._n_frames = 0
        self._n_samples = 0
        self._n_clipped = 0
        self._n_silent = 0

    def add(self, block: Float32[np.ndarray, "frames channels"], peak: float) -> None:
        """Measure the next block; finite, with at least one frame.

        It is cut into pieces of `FRAME_S` of its own, the last of which may be shorter.

        Args:
            block: Samples of the source.
            peak: Magnitude of the largest of them.
        """
        n_frames, n_channels = block.shape
        whole = n_frames - n_frames % self._frame
        pieces = np.ascontiguousarray(block[:whole]).reshape(-1, self._frame * n_channels)
        self._add_pieces(pieces, n_channels)
        if whole < n_frames:
            self._add_pieces(block[whole:].reshape(1, -1), n_channels)
        if peak >= FULL_SCALE:
            self._n_clipped += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))

    def _add_pieces(self, pieces: Float32[np.ndarray, "pieces samples"], n_channels: int) -> None:
        energies = np.einsum("ps,ps->p", pieces, pieces)
        is_silent = energies < pieces.shape[1] * 10 ** (SILENCE_DBFS / 10)
        self._energy += float(energies.sum(dtype=np.float64))
        self._n_samples += pieces.size
        self._n_frames += pieces.size // n_channels
        self._n_silent += int(is_silent.sum()) * (pieces.shape[1] // n_channels)

    def reading(self) -> InputReading:
        """Return what was measured; there was at least one block."""
        power = self._energy / self._n_samples
        lowest = 10 ** (LOWEST_DBFS / 10)
        return InputReading(
            sample_rate_hz=self._rate_hz,
            duration_s=self._n_frames / self._rate_hz,
            level_dbfs=10 * math.log10(max(power, lowest)),
            clipped_share=self._n_clipped / self._n_samples,
            silent_share=self._n_silent / self._n_frames,
        )
