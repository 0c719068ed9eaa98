"""Row ids of the index: they name the clip and the window of a vector.

A row id is `number of the clip * 2**20 + window`. Window 0 is the whole clip; the windows of a long
clip are numbered from 1. Row ids are therefore ordered by clip and then by time, and those of one
clip are adjacent.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

WINDOW_BITS = 20
MAX_WINDOWS = 2**WINDOW_BITS - 1
"""Largest number of windows of one clip."""
_NUMBERS_PER_CLIP = 16
"""Clips are many if they are more than one of so many numbers up to the highest."""


def clips_of(rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    """Return the number of the clip of each row."""
    seqs: np.ndarray = rows >> WINDOW_BITS
    return seqs


def are_whole(rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Tell which rows are whole clips."""
    whole: np.ndarray = rows & MAX_WINDOWS == 0
    return whole


def of_whole(seqs: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " clips"]:
    """Return the row of each whole clip."""
    rows: np.ndarray = seqs << WINDOW_BITS
    return rows


def select_clips(
    rows: Int64[np.ndarray, " rows"], clips: Int64[np.ndarray, " clips"]
) -> Int64[np.ndarray, " selected"]:
    """Return the positions of the rows that belong to these clips, ascending.

    A few clips are found by binary search. For many, one pass over all rows is cheaper.

    Args:
        rows: Ascending.
        clips: Numbers of clips, in any order.
    """
    n_numbers = 1 + max(rows[-1:].max(initial=0) >> WINDOW_BITS, clips.max(initial=0))
    if len(clips) > n_numbers // _NUMBERS_PER_CLIP:
        is_selected = np.zeros(n_numbers, bool)
        is_selected[clips] = True
        return np.flatnonzero(is_selected[clips_of(rows)])
    wanted = np.sort(clips)  # np.unique of sorted numbers is 100 times as slow (NumPy 2.4)
    wanted = wanted[np.diff(wanted, prepend=-1) > 0]
    firsts = np.searchsorted(rows, of_whole(wanted))
    counts = np.searchsorted(rows, of_whole(wanted + 1)) - firsts
    # Within a clip, positions count up from its first row.
    starts = np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    positions: np.ndarray = starts + np.arange(len(starts))
    return positions


def find(
    rows: Int64[np.ndarray, " rows"], wanted: Int64[np.ndarray, " wanted"]
) -> Bool[np.ndarray, " wanted"]:
    """Tell which of the wanted rows are among ascending rows, by binary search."""
    if not len(rows):
        return np.zeros(len(wanted), bool)
    positions = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    found: np.ndarray = rows[positions] == wanted
    return found
