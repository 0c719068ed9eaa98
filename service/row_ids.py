"""Rows of the index: which clip a vector is of, and which window of it.

A row is `number of the clip * 2**20 + window`. Window 0 is the clip as a whole; the windows of a
long clip are numbered from 1. So rows are ordered by clip and then by time, and the rows of a clip
lie together.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

WINDOW_BITS = 20
MAX_WINDOWS = 2**WINDOW_BITS - 1
"""Most windows of one clip."""


def clips_of(rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    """Return the number of the clip of each row."""
    seqs: np.ndarray = rows >> WINDOW_BITS
    return seqs


def are_whole(rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Tell which rows are clips as a whole."""
    whole: np.ndarray = rows & MAX_WINDOWS == 0
    return whole


def of_whole(seqs: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " clips"]:
    """Return the row of each clip as a whole."""
    rows: np.ndarray = seqs << WINDOW_BITS
    return rows


def select_clips(
    rows: Int64[np.ndarray, " rows"], seqs: Int64[np.ndarray, " clips"]
) -> Int64[np.ndarray, " selected"]:
    """Return those of some rows that are of these clips, ascending.

    Args:
        rows: Ascending.
        seqs: Numbers of clips, in any order.
    """
    wanted = np.unique(seqs)
    firsts = np.searchsorted(rows, of_whole(wanted))
    counts = np.searchsorted(rows, of_whole(wanted + 1)) - firsts
    # Position of each selected row: counted up from the first of its clip.
    starts = np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    selected: np.ndarray = rows[starts + np.arange(len(starts))]
    return selected


def find(
    rows: Int64[np.ndarray, " rows"], wanted: Int64[np.ndarray, " wanted"]
) -> Bool[np.ndarray, " wanted"]:
    """Tell which of the wanted rows are among ascending rows; a few are found without a pass."""
    if not len(rows):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    found: np.ndarray = rows[places] == wanted
    return found
