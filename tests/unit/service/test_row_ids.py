from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from service.row_ids import MAX_WINDOWS, are_whole, clips_of, find, of_whole, select_clips

ROWS = st.sets(
    st.tuples(st.integers(0, 9) | st.integers(0, 2**40), st.integers(0, 3) | st.just(MAX_WINDOWS))
)
CLIPS = st.lists(st.integers(0, 9) | st.integers(0, 2**40))


def as_rows(pairs: set[tuple[int, int]]) -> np.ndarray:
    return np.array(sorted((seq * 2**20) + window for seq, window in pairs), np.int64)


@given(ROWS)
def test_a_row_id_contains_its_clip_and_whether_it_is_whole(pairs: set[tuple[int, int]]) -> None:
    rows = as_rows(pairs)

    assert clips_of(rows).tolist() == [seq for seq, _ in sorted(pairs)]
    assert are_whole(rows).tolist() == [window == 0 for _, window in sorted(pairs)]


@given(ROWS, CLIPS)
def test_the_rows_of_clips_are_selected(pairs: set[tuple[int, int]], clips: list[int]) -> None:
    rows = as_rows(pairs)

    selected = rows[select_clips(rows, np.array(clips, np.int64))]

    expected = as_rows({(seq, window) for seq, window in pairs if seq in clips})
    assert selected.tolist() == expected.tolist()


@given(ROWS, ROWS)
def test_rows_are_found_among_others(
    pairs: set[tuple[int, int]], wanted: set[tuple[int, int]]
) -> None:
    found = find(as_rows(pairs), as_rows(wanted))

    assert found.tolist() == [pair in pairs for pair in sorted(wanted)]


def test_a_clip_as_a_whole_comes_before_its_windows() -> None:
    (row,) = of_whole(np.array([7]))

    assert row < row + 1 < row + MAX_WINDOWS < of_whole(np.array([8]))[0]
