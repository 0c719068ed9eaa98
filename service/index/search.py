"""Search for the nearest clips, or the nearest windows, in an index that holds both.

The score of a clip is that of its nearest row: the whole clip, or one of its windows. An index
returns rows, and several of them may belong to one clip, so a search asks for more rows until there
are enough clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.index.vector_index import VectorIndex
from service.row_ids import are_whole, clips_of

_WIDER = 4
"""Factor by which the number of rows grows when too few of them are hits."""
_BATCH_ROWS = 10_000
_NO_CLIPS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search.

    Attributes:
        query: Unit vector [dim].
        k: Number of hits.
        allowed: Numbers of the clips to search, each once; None for all.
        excluded: Numbers of clips to leave out.
        every_window: Whether every window is a hit of its own; otherwise every clip is one hit.
        is_modified: Whether the query has more than one term.
    """

    query: Float32[np.ndarray, " dim"]
    k: int
    allowed: Int64[np.ndarray, " clips"] | None = None
    excluded: Int64[np.ndarray, " clips"] = field(default_factory=_NO_CLIPS.copy)
    every_window: bool = False
    is_modified: bool = False


def nearest(
    index: VectorIndex, request: SearchRequest, *, exact: bool = False
) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
    """Return the inner products and row ids of the hits, best first; equal scores by row id.

    There are k hits if there are as many clips, or windows, to search.

    Args:
        index: The index to search.
        request: The search.
        exact: Compare all vectors, at any cost.
    """
    n_rows = request.k
    scores, ids, n_found = _search_rows(index, request, n_rows, exact)
    if len(ids) < request.k:
        scope = index.ids if request.allowed is None else index.of_clips(request.allowed)
        n_hits = _count_hits(index, request, scope)
        while len(ids) < n_hits:
            if n_found < n_rows:
                exact = True  # the lists visited hold no more rows
            else:
                n_rows = min(_WIDER * n_rows, len(scope))
            scores, ids, n_found = _search_rows(index, request, n_rows, exact)
    return scores[: request.k], ids[: request.k]


def best_windows(
    index: VectorIndex, query: Float32[np.ndarray, " dim"], ids: Int64[np.ndarray, " hits"]
) -> Int64[np.ndarray, " hits"]:
    """Return the row id to show for each hit: for a whole clip with windows, its nearest window.

    Args:
        index: Holds the row ids.
        query: Unit vector.
        ids: Row ids of the hits; at most one of a clip where whole clips are among them.
    """
    is_long = _have_windows(index, ids)
    if not is_long.any():
        return ids
    windows = index.of_clips(clips_of(ids[is_long]))
    windows = windows[~are_whole(windows)]
    scores = np.empty(len(windows), np.float32)
    for first in range(0, len(windows), _BATCH_ROWS):
        batch = slice(first, first + _BATCH_ROWS)
        scores[batch] = index.vectors(windows[batch])[1] @ query
    windows = windows[np.lexsort((windows, -scores))]
    clips, first_of_clip = np.unique(clips_of(windows), return_index=True)
    shown = ids.copy()
    shown[is_long] = windows[first_of_clip][np.searchsorted(clips, clips_of(ids[is_long]))]
    return shown


def _search_rows(
    index: VectorIndex, request: SearchRequest, n_rows: int, exact: bool
) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"], int]:
    """Search for the nearest rows, and keep those that are hits.

    Returns:
        Scores and row ids of the hits, best first, and the number of rows found.
    """
    scores, ids = index.search(request.query, n_rows, allowed=request.allowed, exact=exact)
    hits = _select_hits(index, request, ids)
    return scores[hits], ids[hits], len(ids)


def _select_hits(
    index: VectorIndex, request: SearchRequest, ids: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " hits"]:
    """Return which of these row ids are hits, as indices in their order.

    A hit is the first row of a clip, or every row that is not a whole clip with windows.
    """
    clips = clips_of(ids)
    is_hit = ~np.isin(clips, request.excluded)
    if request.every_window:
        return np.flatnonzero(is_hit & ~_have_windows(index, ids))
    is_first = np.zeros(len(ids), bool)
    is_first[np.unique(clips, return_index=True)[1]] = True
    return np.flatnonzero(is_hit & is_first)


def _count_hits(
    index: VectorIndex, request: SearchRequest, scope: Int64[np.ndarray, " rows"]
) -> int:
    """Return how many hits there can be, at most k.

    Looks only at as many rows as it takes to find k hits.

    Args:
        index: Holds the rows.
        request: The search.
        scope: Row ids to search, ascending.
    """
    n_rows = _BATCH_ROWS
    while True:
        n_hits = len(_select_hits(index, request, scope[:n_rows]))
        if n_hits >= request.k or n_rows >= len(scope):
            return min(n_hits, request.k)
        n_rows *= _WIDER


def _have_windows(index: VectorIndex, ids: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Return which row ids are whole clips that have windows in the index."""
    have_windows = are_whole(ids)
    have_windows[have_windows] = index.holds(ids[have_windows] + 1)
    return have_windows
