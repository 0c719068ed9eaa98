from __future__ import annotations

import hashlib
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import synth
from hypothesis import given

from service.audio.levels import (
    FULL_SCALE,
    LOWEST_DBFS,
    InputMeter,
    InputReading,
    WaveformMeter,
    level_difference_db,
)


def measure(samples: np.ndarray, sample_rate: int = 16_000, n_blocks: int = 1) -> InputReading:
    meter = InputMeter(sample_rate)
    channels = samples if samples.ndim == 2 else samples[:, None]
    for block in np.array_split(channels, n_blocks):
        meter.add(block, float(np.abs(block).max()))
    return meter.reading()


def mean_square(samples: np.ndarray) -> float:
    meter = WaveformMeter()
    meter.add(samples)
    return meter.mean_square


class TestInputMeter:
    def test_level_and_shares_follow_their_definitions(self) -> None:
        loud, silent = synth.noise(0, 0.4, amplitude=0.7), synth.noise(1, 0.6, amplitude=0)
        samples = np.concatenate([loud, silent])

        reading = measure(samples)

        power = np.square(samples, dtype=np.float64).mean()
        assert reading.level_dbfs == pytest.approx(10 * math.log10(power), abs=1e-4)
        assert reading.clipped_share == np.mean(np.abs(samples) >= FULL_SCALE) > 0.05
        assert reading.silent_share == pytest.approx(0.6)
        assert reading.duration_s == pytest.approx(1.0)

    @pytest.mark.parametrize("n_blocks", [2, 7])
    def test_the_reading_does_not_depend_on_the_blocks(self, n_blocks: int) -> None:
        samples = np.concatenate([synth.silence(0.5), synth.noise(0, 0.5, amplitude=0.6)])

        whole, parts = measure(samples), measure(samples, n_blocks=n_blocks)

        assert parts.level_dbfs == pytest.approx(whole.level_dbfs, abs=1e-4)
        assert parts.clipped_share == whole.clipped_share
        # Each block is cut into frames of its own.
        assert parts.silent_share == pytest.approx(whole.silent_share, abs=0.02)

    def test_digital_silence_has_the_lowest_level(self) -> None:
        reading = measure(synth.silence())

        shares = (reading.silent_share, reading.clipped_share)
        assert (reading.level_dbfs, *shares) == (LOWEST_DBFS, 1, 0)

    def test_channels_are_measured_before_they_are_mixed_down(self) -> None:
        tone = synth.tone(440)

        stereo = measure(np.stack([tone, -tone], axis=1))

        assert stereo.level_dbfs == pytest.approx(measure(tone).level_dbfs)

    @pytest.mark.parametrize("sample_rate", [4_000, 44_100, 384_000])
    def test_a_single_sample_can_be_measured(self, sample_rate: int) -> None:
        reading = measure(np.ones(1, np.float32), sample_rate)

        assert reading == InputReading(sample_rate, 1 / sample_rate, 0.0, 1.0, 0.0)


class TestWaveformMeter:
    @given(cuts=st.lists(st.integers(0, 8000), max_size=6))
    def test_mean_square_and_digest_do_not_depend_on_the_blocks(self, cuts: list[int]) -> None:
        clip = synth.noise(0, 0.5)
        meter = WaveformMeter(hashed=True)
        for block in np.split(clip, sorted(cuts)):
            meter.add(block)

        assert meter.mean_square == pytest.approx(np.square(clip.astype(np.float64)).mean())
        assert meter.digest == hashlib.sha256(clip.tobytes()).digest()

    def test_the_digest_is_computed_only_if_it_is_asked_for(self) -> None:
        meter = WaveformMeter()
        meter.add(synth.noise(0, 0.1))

        assert meter.digest == b""

    def test_a_long_quiet_end_counts_beside_a_loud_start(self) -> None:
        clip = np.full(4_000_000, 1e-3, np.float32)
        clip[:1000] = 1.0

        expected = np.square(clip.astype(np.float64)).mean()
        assert mean_square(clip) == pytest.approx(expected, rel=1e-6)

    def test_the_mean_square_of_no_samples_is_zero(self) -> None:
        assert WaveformMeter().mean_square == 0


class TestLevelDifference:
    @pytest.mark.parametrize("gain_db", [-60, -6, 0.5, 20])
    def test_it_is_the_gain_in_decibels(self, gain_db: float) -> None:
        clip = synth.noise(1, 0.5)
        louder = clip * np.float32(10 ** (gain_db / 20))

        difference = level_difference_db(mean_square(louder), [mean_square(clip)])

        assert difference == pytest.approx(gain_db, abs=1e-4)

    def test_it_is_exactly_zero_for_equal_sounds_even_if_they_are_silent(self) -> None:
        assert level_difference_db(0.25, [0.25]) == 0
        assert level_difference_db(0.0, [0.0, 0.0]) == 0

    def test_the_power_of_several_references_is_averaged(self) -> None:
        difference = level_difference_db(1.0, [0.5, 0.1])

        assert difference == pytest.approx(-10 * math.log10(0.3))

    @pytest.mark.parametrize(("mixture", "reference"), [(0.0, 1.0), (1.0, 0.0)])
    def test_it_is_none_if_one_side_is_silent(self, mixture: float, reference: float) -> None:
        assert level_difference_db(mixture, [reference]) is None
