from __future__ import annotations

import numpy as np

from training.export.known_answer import make_known_clip


def test_the_clip_is_the_same_every_time_and_within_full_scale() -> None:
    clip = make_known_clip()
    assert clip.dtype == np.float32
    assert clip.shape == (48_000,)
    assert np.array_equal(clip, make_known_clip())
    assert np.abs(clip).max() < 1


def test_the_clip_has_power_in_every_octave() -> None:
    power = np.abs(np.fft.rfft(make_known_clip())) ** 2
    octaves = [power[round(3 * 62.5 * 2**i) : round(3 * 125 * 2**i)].mean() for i in range(7)]
    assert min(octaves) > 1e-3 * max(octaves)
