from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from service.clips import Windows
from service.retrieval.extent import Extent, locate, rises


def windows(n: int, embeddings: np.ndarray | None = None) -> Windows:
    """Make windows of 1 s every half second."""
    starts_s = 0.5 * np.arange(n)
    rows = np.zeros((n, 3), np.float32) if embeddings is None else embeddings
    return Windows(rows.mean(axis=0), rows, starts_s, starts_s + 1.0)


def shares(cut: Windows, start_s: float, end_s: float) -> np.ndarray:
    """Compute the share of each window between two times, naively."""
    found = []
    for first, last in zip(cut.starts_s, cut.ends_s, strict=True):
        found.append(max(min(last, end_s) - max(first, start_s), 0.0) / (last - first))
    return np.array(found)


@given(
    start=st.integers(0, 60),
    length=st.integers(11, 60),
    base=st.floats(0, 5),
    size=st.floats(0.1, 100),
)
def test_a_sound_is_found_where_it_is(start: int, length: int, base: float, size: float) -> None:
    cut = windows(29)  # 15 s
    start_s, end_s = start / 10, (start + length) / 10

    found = locate(base + size * shares(cut, start_s, end_s), cut)

    assert found is not None
    assert found.start_s == pytest.approx(start_s, abs=0.11)
    assert found.end_s == pytest.approx(min(end_s, 15.0), abs=0.11)


@pytest.mark.parametrize("start_s", [0.9, 3.0, 4.3])
@pytest.mark.parametrize("length_s", [0.3, 0.7])
def test_of_a_sound_shorter_than_a_window_the_middle_is_found(
    start_s: float, length_s: float
) -> None:
    cut = windows(29)

    found = locate(shares(cut, start_s, start_s + length_s), cut)

    assert found is not None
    middle_s = (found.start_s + found.end_s) / 2
    assert middle_s == pytest.approx(start_s + length_s / 2, abs=0.11)


def test_noise_moves_the_time_little() -> None:
    cut = windows(29)
    random = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        start_s = float(random.uniform(0, 10))
        rise = shares(cut, start_s, start_s + 3.0) + 0.1 * random.standard_normal(29)
        found = locate(rise, cut)
        assert found is not None
        errors.append(abs(found.start_s - start_s))

    assert np.mean(np.array(errors) <= 0.5) > 0.9


@pytest.mark.parametrize("n", [1, 2, 20])
def test_what_is_there_all_the_time_has_no_time(n: int) -> None:
    assert locate(np.full(n, 3.0), windows(n)) is None
    assert locate(np.zeros(n), windows(n)) is None


def test_what_no_sound_explains_has_no_time() -> None:
    assert locate(np.tile([0.0, 1.0], 20), windows(40)) is None


def test_windows_rise_by_what_exceeds_all_windows_of_the_others() -> None:
    own = np.array([[1, 5, 0], [3, 0, 2]], np.float32)
    others = [np.array([[2, 1, 0]], np.float32), np.array([[0, 4, 1], [0, 0, 0]], np.float32)]

    found = rises(windows(2, own), [windows(len(rows), rows) for rows in others])

    assert found.tolist() == [1.0, 2.0]


def test_a_sound_that_all_others_contain_does_not_rise() -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (5, 3)).astype(np.float32)

    assert not rises(windows(5, rows), [windows(5, rows[::-1].copy())]).any()


def test_windows_overlap_an_extent_by_their_share_in_it() -> None:
    cut = windows(5)

    np.testing.assert_allclose(Extent(0.75, 1.6).overlaps(cut), shares(cut, 0.75, 1.6))
