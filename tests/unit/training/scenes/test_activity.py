from __future__ import annotations

import numpy as np
import pytest
import synth

from training.scenes.activity import ACTIVE_SHARE, SMOOTHING_S, active_part

RATES = pytest.mark.parametrize("rate", [16_000, 44_100])


def active_part_reference(clip: np.ndarray, rate: int) -> tuple[int, int]:
    """Smooth |x| sample by sample in float64."""
    n = round(SMOOTHING_S * rate)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1))
    smooth = np.convolve(np.abs(clip.astype(np.float64)), window, "same")
    above = np.flatnonzero(smooth > ACTIVE_SHARE * smooth.max())
    return int(above[0]), int(above[-1]) + 1


@RATES
def test_the_active_part_is_where_the_envelope_exceeds_a_tenth(rate: int) -> None:
    quiet, burst = 0.01 * synth.noise(2, 0.3), synth.noise(3, 0.4)
    clip = np.concatenate([quiet, burst, quiet])
    assert active_part(clip, rate) == active_part_reference(clip, rate)
    start, stop = active_part_reference(clip, rate)
    assert abs(start - quiet.size) < 0.01 * rate
    assert abs(stop - quiet.size - burst.size) < 0.01 * rate


def test_silence_has_no_active_part() -> None:
    assert active_part(synth.silence(0.5), 16_000) is None
