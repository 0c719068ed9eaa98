"""The nearest clips, or the nearest windows, out of an index that holds both.

A clip is as near as its nearest row, which is the clip as a whole or one of its windows. An index
gives rows: more of them are asked for until there are as many clips as were wanted, however many
rows of one clip come first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.index.vector_index import VectorIndex
from service.row_ids import are_whole, clips_of

_WIDER = 4
_BATCH_ROWS = 10_000
_NO_CLIPS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search.

    Attributes:
        query: Unit vector [dim].
        k: Most hits.
        among: Numbers of the clips to search, each once; None for all.
        without: Numbers of clips to leave out.
        every_window: Whether every window is a hit; otherwise every clip is.
        is_modified: Whether the query has more than one term.
    """

    query: Float32[np.ndarray, " dim"]
    k: int
    among: Int64[np.ndarray, " clips"] | None = None
    without: Int64[np.ndarray, " clips"] = field(default_factory=_NO_CLIPS.copy)
    every_window: bool = False
    is_modified: bool = False


def nearest(
    index: VectorIndex, asked: SearchRequest, *, exact: bool = False
) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
    """Return the inner products and rows of the hits, best first; equals as the index has them.

    There are k hits where there are as many clips, or windows, to search.

    Args:
        index: What is searched.
        asked: The search.
        exact: Look at every vector, whatever it costs.
    """
    among = None if asked.among is None else index.of_clips(asked.among)
    n_rows = asked.k
    scores, rows = index.search(asked.query, n_rows, among=among, exact=exact)
    hits = _choose(index, asked, rows)
    if len(hits) < asked.k:
        scope = index.rows if among is None else among
        n_wanted = min(asked.k, len(_choose(index, asked, scope)))
        while len(hits) < n_wanted:
            if len(rows) < n_rows:
                exact = True  # the part of the index that was looked into holds no more
            else:
                n_rows = min(_WIDER * n_rows, len(scope))
            scores, rows = index.search(asked.query, n_rows, among=among, exact=exact)
            hits = _choose(index, asked, rows)
    hits = hits[: asked.k]
    return scores[hits], rows[hits]


def best_windows(
    index: VectorIndex, query: Float32[np.ndarray, " dim"], rows: Int64[np.ndarray, " hits"]
) -> Int64[np.ndarray, " hits"]:
    """Return the row to show for each hit: of a whole clip that has windows, its nearest window.

    Args:
        index: Holds the rows.
        query: Unit vector.
        rows: The hits; at most one of a clip where whole clips are among them.
    """
    is_long = _have_windows(index, rows)
    if not is_long.any():
        return rows
    windows = index.of_clips(clips_of(rows[is_long]))
    windows = windows[~are_whole(windows)]
    scores = np.empty(len(windows), np.float32)
    for first in range(0, len(windows), _BATCH_ROWS):
        batch = slice(first, first + _BATCH_ROWS)
        scores[batch] = index.vectors(windows[batch])[1] @ query
    windows = windows[np.lexsort((windows, -scores))]
    clips, first_of_clip = np.unique(clips_of(windows), return_index=True)
    places = rows.copy()
    places[is_long] = windows[first_of_clip][np.searchsorted(clips, clips_of(rows[is_long]))]
    return places


def _choose(
    index: VectorIndex, asked: SearchRequest, rows: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " hits"]:
    """Return the positions of the rows that are hits, in their order."""
    clips = clips_of(rows)
    is_hit = ~np.isin(clips, asked.without)
    if asked.every_window:
        return np.flatnonzero(is_hit & ~_have_windows(index, rows))
    is_first = np.zeros(len(rows), bool)
    is_first[np.unique(clips, return_index=True)[1]] = True
    return np.flatnonzero(is_hit & is_first)


def _have_windows(
    index: VectorIndex, rows: Int64[np.ndarray, " rows"]
) -> Bool[np.ndarray, " rows"]:
    """Tell which rows are whole clips that have windows."""
    are_long = are_whole(rows)
    are_long[are_long] = index.holds(rows[are_long] + 1)
    return are_long
