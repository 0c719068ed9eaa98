"""Recall of live searches: the share of the true hits that an approximate search found."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

import numpy as np
from jaxtyping import Int64

from service.concurrency.background_task import BackgroundTask
from service.index.search import SearchRequest

EVERY_S = 10.0
"""Least time between two measurements [s]."""
SHARE_OF_TIME = 0.01
"""Most time that measurements take of one core, as exact searches of large indexes are slow."""


class RecallMonitor:
    """Repeats a sample of the searches exactly, in the background, and reports the recall.

    Args:
        search_exactly: Returns the row ids of the true hits of a search. Must not hold a lock that
            keeps searches or writes waiting for long.
        every_s: Least time between the starts of two measurements [s].

    Attributes:
        on_recall: Called with the recall, 0 to 1, and whether the query has more than one term.
    """

    def __init__(
        self,
        search_exactly: Callable[[SearchRequest], Int64[np.ndarray, " hits"]],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self.on_recall: Callable[[float, bool], object] = lambda recall, is_modified: None
        self._search_exactly = search_exactly
        self._every_s = every_s
        self._next_s = -np.inf
        self._lock = Lock()
        self._background = BackgroundTask()

    def offer(self, request: SearchRequest, found: Int64[np.ndarray, " hits"]) -> None:
        """Measure the recall of a search, if a measurement is due.

        Args:
            request: The search.
            found: Row ids of its hits.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._next_s:
                return
            self._next_s = now + self._every_s
        self._background.start(lambda is_stopped: self._measure(request, found))

    def wait(self) -> None:
        """Wait until the current measurement is done."""
        self._background.wait()

    def stop(self) -> None:
        """End the current measurement and start no other."""
        self._background.stop()

    def _measure(self, request: SearchRequest, found: Int64[np.ndarray, " hits"]) -> None:
        start = time.monotonic()
        true = self._search_exactly(request)
        end = time.monotonic()
        with self._lock:
            self._next_s = max(self._next_s, end + (end - start) / SHARE_OF_TIME)
        if len(true):
            self.on_recall(float(np.isin(true, found).mean()), request.is_modified)
