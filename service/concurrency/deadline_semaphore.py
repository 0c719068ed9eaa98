"""A semaphore that serves waiting threads in the order of their deadlines."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.concurrency.deadline import Deadline, current_deadline


class DeadlineSemaphore:
    """Limits the threads that work at a time; the earliest deadline is served first.

    A slot that is released passes directly to the waiting thread with the earliest deadline. A
    thread that comes later cannot take it, and a request that needs several slots one after the
    other is not overtaken between them by requests with later deadlines.

    Args:
        n_slots: Threads that may work at a time.
    """

    def __init__(self, n_slots: int) -> None:
        self._n_free = n_slots
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._tickets = itertools.count()

    def acquire(self, deadline: Deadline) -> None:
        """Wait for a slot, which the caller has to release.

        Raises:
            ClientDisconnectedError: The client has disconnected.
            DeadlineError: The deadline has passed.
        """
        with self._lock:
            if self._n_free and not self._waiting:
                self._n_free -= 1
                return
            is_granted = threading.Event()
            ticket = (deadline.ends, next(self._tickets), is_granted)
            heapq.heappush(self._waiting, ticket)
        if is_granted.wait(deadline.left_s):
            return
        with self._lock:
            if is_granted.is_set():  # at the moment when the wait ended
                self._pass_on()
            else:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
        raise deadline.error()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Context manager: holds a slot, taken by the deadline of the current request.

        Raises:
            ClientDisconnectedError: The client has disconnected.
            DeadlineError: The deadline has passed.
        """
        self.acquire(current_deadline() or Deadline())
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Release a slot."""
        with self._lock:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give a slot to the first waiting thread, or count it as free."""
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._n_free += 1
