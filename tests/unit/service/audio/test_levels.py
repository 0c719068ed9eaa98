from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import synth
from hypothesis import given

from service.audio.levels import LevelMeter, level_difference_db


def mean_square(samples: np.ndarray) -> float:
    meter = LevelMeter()
    meter.add(samples)
    return meter.mean_square


@given(cuts=st.lists(st.integers(0, 8000), max_size=6))
def test_the_level_does_not_depend_on_the_blocks(cuts: list[int]) -> None:
    clip = synth.noise(0, 0.5)
    meter = LevelMeter()
    for block in np.split(clip, sorted(cuts)):
        meter.add(block)

    assert meter.mean_square == pytest.approx(np.square(clip.astype(np.float64)).mean())


def test_a_long_quiet_end_counts_beside_a_loud_start() -> None:
    clip = np.full(4_000_000, 1e-3, np.float32)
    clip[:1000] = 1.0

    assert mean_square(clip) == pytest.approx(np.square(clip.astype(np.float64)).mean(), rel=1e-6)


def test_nothing_heard_is_no_level() -> None:
    assert LevelMeter().mean_square == 0


@pytest.mark.parametrize("gain_db", [-60, -6, 0.5, 20])
def test_a_gain_is_told_in_decibels(gain_db: float) -> None:
    clip = synth.noise(1, 0.5)
    louder = clip * np.float32(10 ** (gain_db / 20))

    told = level_difference_db(mean_square(louder), [mean_square(clip)])

    assert told == pytest.approx(gain_db, abs=1e-4)


def test_equal_sounds_differ_by_exactly_nothing_even_if_silent() -> None:
    assert level_difference_db(0.25, [0.25]) == 0
    assert level_difference_db(0.0, [0.0, 0.0]) == 0


def test_the_power_of_several_references_is_averaged() -> None:
    told = level_difference_db(1.0, [0.5, 0.1])

    assert told == pytest.approx(-10 * math.log10(0.3))


@pytest.mark.parametrize(("mixture", "reference"), [(0.0, 1.0), (1.0, 0.0)])
def test_silence_has_no_level_to_compare(mixture: float, reference: float) -> None:
    assert level_difference_db(mixture, [reference]) is None
