from __future__ import annotations

import numpy as np
import pytest
import synth

from training.loudness import FLOOR_LUFS, amplitude, fade, loudness


def test_a_full_scale_tone_of_997_hz_has_the_loudness_of_the_standard() -> None:
    """ITU-R BS.1770: a sine of 0 dBFS in one channel measures -3.01 LKFS."""
    tone = synth.tone(997.0, 2.0, amplitude=1.0, sample_rate=48_000)
    assert loudness(tone, 48_000) == pytest.approx(-3.01, abs=0.05)


def test_a_gain_moves_the_loudness_by_as_much() -> None:
    noise = synth.noise(0, 2.0)
    quieter = noise * np.float32(amplitude(-12.0))
    assert loudness(noise, 16_000) - loudness(quieter, 16_000) == pytest.approx(12.0, abs=0.01)


def test_silence_around_an_event_hardly_counts() -> None:
    event = synth.noise(0, 1.0)
    within = np.concatenate([synth.silence(2.0), event, synth.silence(2.0)])
    assert loudness(within, 16_000) == pytest.approx(loudness(event, 16_000), abs=1.5)


@pytest.mark.parametrize("duration_s", [0.001, 0.1, 0.39])
def test_a_sound_shorter_than_a_block_is_measured(duration_s: float) -> None:
    click = synth.noise(0, duration_s)
    assert FLOOR_LUFS < loudness(click, 16_000) < 0


@pytest.mark.parametrize("level", [0.0, 1e-7])
def test_what_the_gate_takes_away_is_at_the_floor(level: float) -> None:
    assert loudness(np.full(16_000, level, np.float32), 16_000) == FLOOR_LUFS


def test_no_samples_have_no_loudness() -> None:
    with pytest.raises(ValueError, match="no samples"):
        loudness(np.zeros(0, np.float32), 16_000)


def test_a_fade_rises_over_10_ms_and_leaves_the_middle_alone() -> None:
    faded = fade(np.ones(16_000, np.float32), 16_000)
    assert faded[0] == faded[-1] == 0.0
    assert (np.diff(faded[:160]) > 0).all()
    assert (faded[160:-160] == 1.0).all()
    assert np.allclose(faded, faded[::-1])
    assert fade(np.ones(1, np.float32), 16_000).tolist() == [1.0]
