"""The time spent in each phase of a request, and the deadline of the request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.concurrency.deadline import Deadline


class RequestTimings:
    """The time spent in each named phase; the times of a phase that is entered again add up.

    Args:
        deadline: Deadline of the request, after which no phase is entered; without end if not
            given.

    Attributes:
        seconds: Time spent in each phase [s].
        spans: First start and last end of each phase, by `time.perf_counter` [s].
        deadline: Deadline of the request.
    """

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.spans: dict[str, tuple[float, float]] = {}
        self.deadline = deadline or Deadline()

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to `phase`.

        Raises:
            ClientDisconnectedError: The client has disconnected before.
            DeadlineError: The deadline has passed before.
        """
        self.deadline.check()
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - start)

    def add(self, phase: str, took_s: float, *, end: float | None = None) -> None:
        """Add a time to `phase`.

        Args:
            phase: Name of the phase.
            took_s: Duration [s].
            end: End of this time, by `time.perf_counter` [s]; now if None.
        """
        if end is None:
            end = time.perf_counter()
        start, _ = self.spans.get(phase, (end - took_s, end))
        self.spans[phase] = (start, end)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + took_s

    def server_timing(self) -> str:
        """Return the value of a Server-Timing header; durations in milliseconds."""
        return ", ".join(f"{name};dur={1000 * took:.2f}" for name, took in self.seconds.items())
