from __future__ import annotations

import math

import numpy as np
import pytest
import synth

from service.audio.drift import FULL_SCALE, LOWEST_DBFS, InputMeter, InputReading


def measure(samples: np.ndarray, sample_rate: int = 16_000, n_blocks: int = 1) -> InputReading:
    meter = InputMeter(sample_rate)
    channels = samples if samples.ndim == 2 else samples[:, None]
    for block in np.array_split(channels, n_blocks):
        meter.add(block, float(np.abs(block).max()))
    return meter.reading()


@pytest.mark.parametrize(("amplitude", "level_dbfs"), [(1.0, -3.01), (0.1, -23.01)])
def test_the_level_of_a_sine_is_that_of_its_power(amplitude: float, level_dbfs: float) -> None:
    reading = measure(synth.tone(440, amplitude=amplitude))

    assert reading.level_dbfs == pytest.approx(level_dbfs, abs=0.01)


def test_level_and_shares_are_those_of_the_definition() -> None:
    samples = np.concatenate([synth.noise(0, 0.4, amplitude=0.7), synth.noise(1, 0.6, amplitude=0)])

    reading = measure(samples)

    power = np.square(samples, dtype=np.float64).mean()
    assert reading.level_dbfs == pytest.approx(10 * math.log10(power), abs=1e-4)
    assert reading.clipped_share == np.mean(np.abs(samples) >= FULL_SCALE) > 0.05
    assert reading.silent_share == pytest.approx(0.6)
    assert reading.duration_s == pytest.approx(1.0)


@pytest.mark.parametrize("n_blocks", [2, 7])
def test_how_a_file_is_read_does_not_change_what_is_measured(n_blocks: int) -> None:
    samples = np.concatenate([synth.silence(0.5), synth.noise(0, 0.5, amplitude=0.6)])

    whole, parts = measure(samples), measure(samples, n_blocks=n_blocks)

    assert parts.level_dbfs == pytest.approx(whole.level_dbfs, abs=1e-4)
    assert parts.clipped_share == whole.clipped_share
    # Each block is cut into frames of its own.
    assert parts.silent_share == pytest.approx(whole.silent_share, abs=0.02)


def test_digital_silence_has_the_lowest_level() -> None:
    reading = measure(synth.silence())

    assert (reading.level_dbfs, reading.silent_share, reading.clipped_share) == (LOWEST_DBFS, 1, 0)


def test_channels_are_measured_before_they_cancel_each_other() -> None:
    tone = synth.tone(440)

    stereo = measure(np.stack([tone, -tone], axis=1))

    assert stereo.level_dbfs == pytest.approx(measure(tone).level_dbfs)


def test_gain_moves_the_level_by_itself() -> None:
    quiet = synth.noise(0, amplitude=0.01)

    assert measure(10 * quiet).level_dbfs == pytest.approx(measure(quiet).level_dbfs + 20, abs=1e-3)


@pytest.mark.parametrize("sample_rate", [4_000, 44_100, 384_000])
def test_a_single_sample_can_be_measured(sample_rate: int) -> None:
    reading = measure(np.ones(1, np.float32), sample_rate)

    assert reading == InputReading(sample_rate, 1 / sample_rate, 0.0, 1.0, 0.0)
