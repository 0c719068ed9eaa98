"""Who is next where only so many may work at a time: the one whose deadline comes first."""

from __future__ import annotations

import heapq
import itertools
import threading

from service.concurrency.deadline import Deadline


class DeadlineSemaphore:
    """Lets so many threads work at a time, and those that wait in the order of their deadlines.

    A turn that ends is handed to whoever is next, so that none who comes later can take it first,
    and a request that needs several turns is not overtaken between them.

    Args:
        n_turns: Turns at a time.
    """

    def __init__(self, n_turns: int) -> None:
        self._n_free = n_turns
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._tickets = itertools.count()

    def acquire(self, deadline: Deadline) -> None:
        """Wait for a turn; whoever takes one gives it back.

        Raises:
            AbandonedError: The client left.
            DeadlineError: The deadline passed.
        """
        with self._lock:
            if self._n_free and not self._waiting:
                self._n_free -= 1
                return
            is_mine = threading.Event()
            ticket = (deadline.ends, next(self._tickets), is_mine)
            heapq.heappush(self._waiting, ticket)
        if is_mine.wait(deadline.left_s):
            return
        with self._lock:
            if is_mine.is_set():  # it came as the wait ended
                self._hand_on()
            else:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
        raise deadline.error()

    def release(self) -> None:
        """End a turn."""
        with self._lock:
            self._hand_on()

    def _hand_on(self) -> None:
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._n_free += 1
