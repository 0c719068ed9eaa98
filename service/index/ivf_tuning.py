"""How much a search of an inverted file looks at, so that it finds enough of what is nearest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from service.concurrency.background_task import StoppedError
from service.difference import l2_normalize
from service.index.ivf import FIRST_HITS, IvfRaBitQIndex

TARGET_RECALL = 0.995
"""Of the nearest, on trial queries; a search with a text may lie farther from all clips than
these do, and finds somewhat less.
"""
N_QUERIES = 128
"""Of fewer the share, and with it the number of lists, would be a matter of chance."""
FEWEST_CANDIDATES = 16
"""Vectors that are ranked for each of the first hits, at least."""

_BATCH = 10_000


class IvfTuner:
    """Queries to try an inverted file with, and the nearest of each.

    A trial query lies halfway between two clips, as a sound with words added lies between clips:
    such queries are farther from the centroids than the clips are.

    Args:
        settled: What is tried; it has no vectors that are no longer good.
        is_stopped: Asked now and then whether to give up.

    Raises:
        StoppedError: It was told to, then or while it chooses.
    """

    def __init__(self, settled: IvfRaBitQIndex, is_stopped: Callable[[], bool]) -> None:
        self._settled = settled
        self._is_stopped = is_stopped
        rows = settled.rows
        pairs = np.random.default_rng(0).integers(0, len(rows), (2, N_QUERIES))
        a, b = settled.kept(rows[pairs]).astype(np.float32)
        self._queries = l2_normalize(a + b)
        self._nearest = self._find_nearest(rows)

    def choose_n_candidates(self) -> None:
        """Let so many candidates be ranked that they miss half of what may be missed, or less."""
        settled = self._settled
        settled.n_probe, settled.n_candidates = settled.n_lists, FEWEST_CANDIDATES
        enough = (1 + TARGET_RECALL) / 2
        while FIRST_HITS * settled.n_candidates < len(settled) and self._recall() < enough:
            settled.n_candidates *= 2

    def choose_n_probe(self) -> None:
        """Let the fewest lists be looked into that hold enough."""

        def is_enough(n_probe: int) -> bool:
            self._settled.n_probe = n_probe
            return self._recall() >= TARGET_RECALL

        n_lists, most = self._settled.n_lists, 1
        while most < n_lists and not is_enough(most):
            most *= 2
        fewest = most // 2 + 1
        between = range(fewest, min(most, n_lists))
        self._settled.n_probe = fewest + bisect_left(between, True, key=is_enough)

    def _recall(self) -> float:
        shares = []
        for query, nearest in zip(self._queries, self._nearest, strict=True):
            self._check()
            _, found = self._settled.search(query, FIRST_HITS)
            shares.append(np.isin(nearest, found).mean())
        return float(np.mean(shares))

    def _find_nearest(
        self, rows: Int64[np.ndarray, " rows"]
    ) -> Int64[np.ndarray, "queries nearest"]:
        scores = np.empty((N_QUERIES, 0), np.float32)
        found = np.empty((N_QUERIES, 0), np.int64)
        for first in range(0, len(rows), _BATCH):
            self._check()
            batch = rows[first : first + _BATCH]
            vectors = self._settled.kept(batch).astype(np.float32)
            scores = np.hstack([scores, self._queries @ vectors.T])
            found = np.hstack([found, np.broadcast_to(batch, (N_QUERIES, len(batch)))])
            k = min(FIRST_HITS, scores.shape[1])
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores, found = np.take_along_axis(scores, best, 1), np.take_along_axis(found, best, 1)
        return found

    def _check(self) -> None:
        if self._is_stopped():
            raise StoppedError
