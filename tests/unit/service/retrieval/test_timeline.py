from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from service.clips import Windows
from service.difference import relative_norm
from service.retrieval.timeline import (
    MAX_PEAKS,
    ROWS,
    draw_curve,
    find_nearest,
    find_peaks,
    windowing,
)


def windows(embeddings: np.ndarray) -> Windows:
    starts_s = 0.5 * np.arange(len(embeddings))
    return Windows(embeddings.mean(axis=0), embeddings, starts_s, starts_s + 1.0)


def embeddings(n: int, seed: int = 0, dim: int = 6) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(seed).uniform(0, 2, (n, dim)).astype(np.float32)
    return drawn


@pytest.mark.parametrize("n", [1, 7, ROWS + 3])
def test_the_nearest_window_is_that_of_the_least_relative_norm(n: int) -> None:
    mixture, known = embeddings(n), embeddings(9, 1)

    rows, distances = find_nearest(mixture, known)

    every = np.array([[relative_norm(one, other) for other in known] for one in mixture])
    np.testing.assert_array_equal(rows, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1), rtol=1e-5)


def test_what_is_heard_anywhere_in_a_reference_is_at_distance_nothing() -> None:
    heard = embeddings(8)
    first, second = windows(heard[:5]), windows(heard[5:])

    curve = draw_curve(windows(heard[::-1].copy()), [first, second])

    assert [point.relative_norm for point in curve] == [0.0] * 8
    assert not any(point.is_peak for point in curve)


def test_a_point_says_where_it_is_and_what_is_nearest() -> None:
    mixture, reference = embeddings(4), embeddings(3, 1)

    curve = draw_curve(windows(mixture), [windows(reference)])

    assert [point.start_s for point in curve] == [0, 0.5, 1, 1.5]
    assert [point.end_s for point in curve] == [1, 1.5, 2, 2.5]
    for point, embedding in zip(curve, mixture, strict=True):
        assert np.array_equal(point.embedding, embedding)
        assert relative_norm(embedding, point.nearest) == pytest.approx(point.relative_norm)


def test_silence_of_both_is_no_difference() -> None:
    nothing = np.zeros((2, 6), np.float32)

    assert [p.relative_norm for p in draw_curve(windows(nothing), [windows(nothing)])] == [0, 0]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=60))
def test_peaks_are_the_highest_tops(heights: list[float]) -> None:
    values = np.array(heights)

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
    assert (windowing(hop_s).window_s, windowing(hop_s).hop_s) == (window_s, hop_s)
