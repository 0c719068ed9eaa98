"""Choice of the effort of an IVF search: the least that finds enough of the nearest vectors."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Int64

from service.concurrency.background_task import StoppedError
from service.difference import l2_normalize
from service.index.ivf import FIRST_HITS, IvfParameters, IvfRaBitQIndex

TARGET_RECALL = 0.995
"""Share of the nearest vectors to find, over the trial queries. Queries with a text may lie farther
from all clips than trial queries do, and find somewhat less.
"""
N_QUERIES = 128
"""With fewer, the measured recall, and so the number of lists, would depend on chance."""
FEWEST_CANDIDATES = 16
"""Least number of candidates ranked for each of the first hits."""

IsStopped = Callable[[], bool]
_BATCH = 10_000


class IvfTuner:
    """Trial queries for an index, and the nearest vectors of each.

    A trial query lies halfway between two vectors, as a sound with words added lies between clips.
    Such queries are farther from the centroids than the vectors are.

    Args:
        index: No vector of it is deleted.
        is_stopped: Called regularly; returns whether to stop.

    Raises:
        StoppedError: `is_stopped` returned true, in the constructor or in `tune`.
    """

    def __init__(self, index: IvfRaBitQIndex, is_stopped: IsStopped) -> None:
        self._index = index
        self._is_stopped = is_stopped
        pairs = np.random.default_rng(0).integers(0, len(index), (2, N_QUERIES))
        a, b = index.stored(pairs).astype(np.float32)
        self._queries = l2_normalize(a + b)
        self._nearest = self._find_nearest()

    def tune(self, n_candidates: int | None = None) -> IvfParameters:
        """Return the least effort that finds `TARGET_RECALL` of the nearest vectors.

        Args:
            n_candidates: Number to try first, to save the time of finding the least one.
        """
        if n_candidates is not None:
            n_probe = self._fewest_lists(n_candidates)
            if n_probe < self._index.n_lists:
                return IvfParameters(n_probe, n_candidates)
            # Even a visit of all lists finds too few: more candidates are needed, not more lists.
        n_candidates = self._fewest_candidates()
        return IvfParameters(self._fewest_lists(n_candidates), n_candidates)

    def _fewest_candidates(self) -> int:
        """Return the least candidates that have, over all lists, half of the allowed misses."""
        enough, n_candidates = (1 + TARGET_RECALL) / 2, FEWEST_CANDIDATES
        while (
            FIRST_HITS * n_candidates < len(self._index)
            and self._recall(IvfParameters(self._index.n_lists, n_candidates)) < enough
        ):
            n_candidates *= 2
        return n_candidates

    def _fewest_lists(self, n_candidates: int) -> int:
        """Return the least number of lists to visit; all of them if that finds too few."""

        def is_enough(n_probe: int) -> bool:
            return self._recall(IvfParameters(n_probe, n_candidates)) >= TARGET_RECALL

        n_lists, most = self._index.n_lists, 1
        while most < n_lists and not is_enough(most):
            most *= 2
        fewest = most // 2 + 1
        return fewest + bisect_left(range(fewest, min(most, n_lists)), True, key=is_enough)

    def _recall(self, parameters: IvfParameters) -> float:
        shares = []
        for query, nearest in zip(self._queries, self._nearest, strict=True):
            check(self._is_stopped)
            _, found = self._index.search(query, FIRST_HITS, parameters=parameters)
            shares.append(np.isin(nearest, found).mean())
        return float(np.mean(shares))

    def _find_nearest(self) -> Int64[np.ndarray, "queries nearest"]:
        """Return the row ids of the nearest vectors of each query, in no order."""
        scores = np.empty((N_QUERIES, 0), np.float32)
        found = np.empty((N_QUERIES, 0), np.int64)
        for batch in batches(len(self._index), self._is_stopped):
            ids = self._index.all_ids[batch]
            vectors = self._index.stored(batch).astype(np.float32)
            scores = np.hstack([scores, self._queries @ vectors.T])
            found = np.hstack([found, np.broadcast_to(ids, (N_QUERIES, len(ids)))])
            k = min(FIRST_HITS, scores.shape[1])
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores, found = np.take_along_axis(scores, best, 1), np.take_along_axis(found, best, 1)
        return found


def batches(n: int, is_stopped: IsStopped) -> Iterator[slice]:
    """Divide n items into slices, and check before each whether to stop.

    Raises:
        StoppedError: `is_stopped` returned true.
    """
    for first in range(0, n, _BATCH):
        check(is_stopped)
        yield slice(first, min(first + _BATCH, n))


def check(is_stopped: IsStopped) -> None:
    """Raise `StoppedError` if `is_stopped` returns true."""
    if is_stopped():
        raise StoppedError
