from __future__ import annotations

import numpy as np
import pytest
import synth

from training.data.loudness import FADE_S, FLOOR_LUFS, fade, gain, loudness

RATES = pytest.mark.parametrize("rate", [16_000, 44_100])
# A sine of 997 Hz at full scale, of one channel: ITU-R BS.1770-4, annex 1.
FULL_SCALE_SINE_LUFS = -3.01
TOLERANCE_LU = 0.1


def test_the_loudness_of_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        loudness(np.zeros(0, np.float32), 16_000)


@RATES
@pytest.mark.parametrize("level_db", [0.0, -20.0, -50.0])
def test_a_sine_has_the_loudness_of_the_recommendation(rate: int, level_db: float) -> None:
    sine = synth.tone(997.0, 2.0, amplitude=10 ** (level_db / 20), sample_rate=rate)
    assert abs(loudness(sine, rate) - (FULL_SCALE_SINE_LUFS + level_db)) < TOLERANCE_LU


@pytest.mark.parametrize("seconds", [1 / 16_000, 0.01, 0.2, 0.39])
def test_a_sound_shorter_than_a_block_is_repeated(seconds: float) -> None:
    short = np.full(max(round(16_000 * seconds), 1), 0.5, np.float32)
    short[::2] *= -1
    long = np.tile(short, 16_000 // short.size)
    assert abs(loudness(short, 16_000) - loudness(long, 16_000)) < 0.5


def test_silence_is_at_the_floor_and_its_gain_is_bounded() -> None:
    silent = synth.silence(1.0)
    assert loudness(silent, 16_000) == FLOOR_LUFS
    assert loudness(1e-6 * synth.noise(0), 16_000) == FLOOR_LUFS
    assert gain(silent, -14.0, 16_000) == pytest.approx(10 ** (56 / 20))


def test_a_gain_brings_a_sound_to_its_level() -> None:
    sound = synth.noise(1, 3.0, amplitude=0.02)
    for level in (-40.0, -20.0):
        scaled = np.float32(gain(sound, level, 16_000)) * sound
        assert loudness(scaled, 16_000) == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("power", [1, 2])
def test_a_fade_is_a_quarter_of_a_sine_at_both_ends(power: int) -> None:
    n = round(FADE_S * 16_000)
    faded = fade(np.ones(5 * n, np.float32), 16_000, power=power)
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** power
    assert np.allclose(faded[:n], ramp, atol=1e-6)
    assert np.allclose(faded[-n:], ramp[::-1], atol=1e-6)
    assert np.all(faded[n:-n] == 1)


@pytest.mark.parametrize("n_samples", [1, 2, 7, 200])
def test_a_sound_shorter_than_its_fades_is_faded_over_its_halves(n_samples: int) -> None:
    sound = np.ones(n_samples, np.float32)
    faded = fade(sound, 16_000)
    assert faded.shape == sound.shape
    assert np.all(sound == 1)
    assert np.all((faded >= 0) & (faded <= 1))
    assert np.allclose(faded, faded[::-1])
