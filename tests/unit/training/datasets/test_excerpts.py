from __future__ import annotations

import numpy as np
import pytest
import synth
from hypothesis import given
from hypothesis import strategies as st

from training.data.loudness import amplitude, fade, loudness
from training.datasets.excerpts import REFERENCE_LUFS, ExcerptStarts, draw_starts, mix_event

RATE = 16_000
EXCERPT = 5 * RATE


@given(st.integers(200, 1000), st.integers(0, 2**32))
def test_excerpts_lie_within_and_overlap_by_all_half_and_nothing(length: int, seed: int) -> None:
    found = draw_starts(length, 100, np.random.default_rng(seed))
    for start in (found.a, found.b, found.c):
        assert 0 <= start <= length - 100
    assert abs(found.b - found.a) == 50
    assert abs(found.c - found.a) >= 100


def test_a_background_of_two_excerpts_is_just_enough() -> None:
    found = {draw_starts(200, 100, np.random.default_rng(seed)) for seed in range(20)}
    assert found == {ExcerptStarts(0, 50, 100), ExcerptStarts(100, 50, 0)}
    with pytest.raises(ValueError, match="no two excerpts"):
        draw_starts(199, 100, np.random.default_rng(0))


def event_and_background() -> tuple[np.ndarray, np.ndarray]:
    event = np.zeros(EXCERPT, np.float32)
    event[RATE : 2 * RATE] = synth.tone(700.0, 1.0, amplitude=0.3)
    swell = np.linspace(0.5, 1.5, 12 * RATE, dtype=np.float32)
    return event, synth.noise(1, 12.0, amplitude=0.02) * swell


@pytest.mark.parametrize("snr_lu", [0.0, 1.7, 3.0])
def test_the_mixture_has_the_drawn_level(snr_lu: float) -> None:
    event, background = event_and_background()
    mixed = mix_event(
        event, background, ExcerptStarts(1000, 1000 + EXCERPT // 2, 90_000), snr_lu, RATE
    )
    assert loudness(mixed.references["a"], RATE) == pytest.approx(REFERENCE_LUFS, abs=0.01)
    alone = mixed.mixture - mixed.references["a"]
    # The fade takes nothing from an event that starts and ends in silence.
    assert loudness(alone, RATE) - REFERENCE_LUFS == pytest.approx(snr_lu, abs=0.01)
    assert np.allclose(alone, event * amplitude(mixed.levels["event_gain_db"]), atol=1e-6)
    assert mixed.levels["scale"] == 1.0


def test_references_have_the_gain_of_the_mixed_excerpt() -> None:
    event, background = event_and_background()
    starts = ExcerptStarts(0, EXCERPT // 2, EXCERPT)
    mixed = mix_event(event, background, starts, 2.0, RATE)
    a, b, c = (mixed.references[name] for name in "abc")
    assert np.array_equal(a[EXCERPT // 2 :], b[: EXCERPT // 2])
    assert np.array_equal(c[: EXCERPT // 2], b[EXCERPT // 2 :])
    assert np.allclose(c / c[0], background[EXCERPT : 2 * EXCERPT] / background[EXCERPT], rtol=1e-4)


def test_mixture_and_references_are_scaled_together_below_clipping() -> None:
    click = np.zeros(EXCERPT, np.float32)
    click[1000] = 1.0
    background = synth.noise(1, 12.0)
    mixed = mix_event(click, background, ExcerptStarts(0, EXCERPT // 2, EXCERPT), 3.0, RATE)
    assert np.abs(mixed.mixture).max() == pytest.approx(0.999, abs=1e-4)
    assert 0.0 < mixed.levels["scale"] < 1.0
    difference = mixed.mixture - mixed.references["a"]
    shape = fade(click, RATE)
    assert np.allclose(difference / difference[1000], shape, atol=1e-5)
