"""How long the phases of one request took, and how long its answer is still wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.concurrency.deadline import Deadline


class RequestTimings:
    """Seconds spent in each named phase; a phase that is entered again adds up.

    Args:
        deadline: How long the answer is wanted; without end if not given. No phase is entered
            after it.

    Attributes:
        seconds: Time spent in each phase [s].
        spans: First begin and last end of each phase, by `time.perf_counter` [s].
    """

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.spans: dict[str, tuple[float, float]] = {}
        self.deadline = deadline or Deadline()

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to `phase`.

        Raises:
            AbandonedError: The client left before it.
            DeadlineError: The deadline passed before it.
        """
        self.deadline.check()
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - start)

    def add(self, phase: str, took_s: float, *, end: float | None = None) -> None:
        """Add time that ends now, or at `end` by `time.perf_counter`, to `phase` [s]."""
        if end is None:
            end = time.perf_counter()
        start, _ = self.spans.get(phase, (end - took_s, end))
        self.spans[phase] = (start, end)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + took_s

    def server_timing(self) -> str:
        """Return the value of a Server-Timing header; durations in milliseconds."""
        return ", ".join(f"{name};dur={1000 * took:.2f}" for name, took in self.seconds.items())
