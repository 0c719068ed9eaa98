"""How many of the truly nearest clips live searches find."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

import numpy as np
from jaxtyping import Int64

from service.concurrency.background_task import BackgroundTask
from service.index.search import SearchRequest

EVERY_S = 10.0
"""Least time between two searches that are measured; an exact one looks at every vector [s]."""


class RecallAudit:
    """Repeats a search now and then in the background, exactly, and tells what share was found.

    Args:
        search_exactly: Returns the rows of the true hits of a search.
        every_s: Least time between two [s].
    """

    def __init__(
        self,
        search_exactly: Callable[[SearchRequest], Int64[np.ndarray, " hits"]],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self.on_recall: Callable[[float, bool], object] = lambda share, is_modified: None
        self._search_exactly = search_exactly
        self._every_s = every_s
        self._last_s = -np.inf
        self._lock = Lock()
        self._background = BackgroundTask()

    def offer(self, asked: SearchRequest, found: Int64[np.ndarray, " hits"]) -> None:
        """Measure this search, if it is time for one."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_s < self._every_s:
                return
            self._last_s = now
        self._background.start(lambda is_stopped: self._measure(asked, found))

    def wait(self) -> None:
        """Wait until the measurement under way is done."""
        self._background.wait()

    def stop(self) -> None:
        """End what is under way and measure no more."""
        self._background.stop()

    def _measure(self, asked: SearchRequest, found: Int64[np.ndarray, " hits"]) -> None:
        true = self._search_exactly(asked)
        if len(true):
            self.on_recall(float(np.isin(true, found).mean()), asked.is_modified)
