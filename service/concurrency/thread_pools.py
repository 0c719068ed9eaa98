"""Thread pools: one kind of blocking work cannot keep another kind waiting.

Blocking work waits for a thread of its pool until the deadline of its request, at the longest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

from service.concurrency.deadline import Deadline, current_deadline
from service.errors import OverloadError

P = ParamSpec("P")
T = TypeVar("T")

LOOKUP_THREADS = 16
DELETE_THREADS = 4
SCAN_THREADS = 4
PROBE_THREADS = 2


class ThreadPool:
    """Threads for one kind of work.

    Args:
        n_threads: Calls that run at a time.
        max_waiting: Calls that may wait for a thread; more are refused. None for any number.

    Attributes:
        n_admitted: Calls that run or wait.
    """

    def __init__(self, n_threads: int, *, max_waiting: int | None = None) -> None:
        self._n_threads = n_threads
        self._max_waiting = max_waiting
        self._limiter: anyio.CapacityLimiter | None = None
        self.n_admitted = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread of this pool.

        Raises:
            ClientDisconnectedError: The client disconnected before a thread was free.
            DeadlineError: The deadline passed before a thread was free.
            OverloadError: Too many calls wait.
        """
        if self._limiter is None:  # it belongs to the event loop of its first call
            self._limiter = anyio.CapacityLimiter(self._n_threads)
        if self._max_waiting is not None and self.n_admitted >= self._n_threads + self._max_waiting:
            raise OverloadError(f"{self._max_waiting} such requests are waiting; try again soon")
        deadline = current_deadline() or Deadline()
        work = partial(_check_and_call, deadline, partial(function, *args, **kwargs))
        self.n_admitted += 1
        try:
            with anyio.move_on_after(deadline.left_s):
                return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self.n_admitted -= 1
        raise deadline.error()


class ThreadPools:
    """The thread pools of one service.

    Attributes:
        requests: Requests with a body; the admission limits them. Most of these threads wait most
            of the time, to decode or for the encoder.
        lookups: Short reads of the library, whose time does not grow with it.
        deletes: Deletions, which wait for other writers.
        scans: Reads whose time grows with the library: filters, counts and the map.
        pictures: Drawings, one at a time, outside the queue of the requests that embed.
        probes: Readiness and metrics.

    Args:
        max_requests: Requests with a body that are admitted, and scans or drawings that may wait.
    """

    def __init__(self, max_requests: int) -> None:
        self.requests = ThreadPool(max_requests)
        self.lookups = ThreadPool(LOOKUP_THREADS)
        self.deletes = ThreadPool(DELETE_THREADS)
        self.scans = ThreadPool(SCAN_THREADS, max_waiting=max_requests)
        self.pictures = ThreadPool(1, max_waiting=max_requests)
        self.probes = ThreadPool(PROBE_THREADS)


def _check_and_call(deadline: Deadline, call: Callable[[], T]) -> T:
    deadline.check()
    return call()
