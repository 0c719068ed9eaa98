from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from service.clips import Windows
from service.difference import relative_norm
from service.retrieval.timeline import (
    BLOCK_ROWS,
    MAX_PEAKS,
    compare_windows,
    curve_windowing,
    find_nearest,
    find_peaks,
)


def windows(embeddings: np.ndarray) -> Windows:
    starts_s = 0.5 * np.arange(len(embeddings))
    return Windows(embeddings.mean(axis=0), embeddings, starts_s, starts_s + 1.0)


def embeddings(n: int, seed: int = 0, dim: int = 6) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(seed).uniform(0, 2, (n, dim)).astype(np.float32)
    return drawn


@pytest.mark.parametrize("n", [1, 7, BLOCK_ROWS + 3])
def test_the_nearest_window_is_that_of_the_least_relative_norm(n: int) -> None:
    mixture, known = embeddings(n), embeddings(9, 1)

    rows, distances = find_nearest(mixture, known)

    every = np.array([[relative_norm(one, other) for other in known] for one in mixture])
    np.testing.assert_array_equal(rows, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1), rtol=1e-5)


def test_a_sound_at_any_time_of_a_reference_has_distance_zero() -> None:
    known = embeddings(8)
    first, second = windows(known[:5]), windows(known[5:])

    timeline = compare_windows(windows(known[::-1].copy()), [first, second])

    assert timeline.relative_norms.tolist() == [0.0] * 8
    assert timeline.peaks == []


def test_each_window_is_compared_with_the_nearest_one() -> None:
    mixture, reference = embeddings(4), embeddings(3, 1)

    timeline = compare_windows(windows(mixture), [windows(reference)])

    distances = [relative_norm(*pair) for pair in zip(mixture, timeline.nearest, strict=True)]
    np.testing.assert_allclose(timeline.relative_norms, distances, rtol=1e-5)


def test_silent_windows_do_not_differ() -> None:
    silence = np.zeros((2, 6), np.float32)

    assert compare_windows(windows(silence), [windows(silence)]).relative_norms.tolist() == [0, 0]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=60))
def test_peaks_are_the_highest_local_maxima(distances: list[float]) -> None:
    values = np.array(distances)

    peaks = find_peaks(values).tolist()

    assert len(peaks) <= MAX_PEAKS
    assert (len(peaks) > 0) == bool(values.max() > 0)
    if peaks:
        assert values[peaks[0]] == values.max()
    assert [values[p] for p in peaks] == sorted((values[p] for p in peaks), reverse=True)
    for peak in peaks:
        around = values[max(peak - 1, 0) : peak + 2]
        assert values[peak] == around.max() > 0
        assert not {peak - 1, peak + 1} & set(peaks)


@pytest.mark.parametrize(("hop_s", "window_s"), [(0.5, 1.0), (0.2, 1.0), (3.0, 3.0)])
def test_windows_overlap_until_the_hop_is_longer(hop_s: float, window_s: float) -> None:
    windowing = curve_windowing(hop_s)

    assert (windowing.window_s, windowing.hop_s) == (window_s, hop_s)
