"""The deadline of a request, which also passes when the client disconnects."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service.errors import DeadlineError


class ClientDisconnectedError(Exception):
    """The client has disconnected; nobody would read a response."""


class Deadline:
    """The deadline of one request, for use by any thread.

    It has no end until `begin` is called.

    Attributes:
        ends: Time at which the deadline passes, by the clock of `time.monotonic` [s].
    """

    def __init__(self) -> None:
        self.ends = math.inf
        self._limit_s: float | None = None
        self._is_abandoned = False

    def begin(self, limit_s: float) -> None:
        """Set the deadline to `limit_s` seconds from now."""
        self._limit_s = limit_s
        self.ends = time.monotonic() + limit_s

    def abandon(self) -> None:
        """Make the deadline pass now, because the client has disconnected."""
        self._is_abandoned = True

    @property
    def left_s(self) -> float | None:
        """Remaining time [s], at least 0; None without an end."""
        if self._is_abandoned:
            return 0.0
        return None if self.ends == math.inf else max(0.0, self.ends - time.monotonic())

    @property
    def is_over(self) -> bool:
        """True after the deadline has passed."""
        return self.left_s == 0

    def error(self) -> ClientDisconnectedError | DeadlineError:
        """Return the error of a deadline that has passed."""
        if self._is_abandoned:
            return ClientDisconnectedError("the client left before its answer")
        return DeadlineError(f"no answer within {self._limit_s or 0:g} s; try again later")

    def check(self) -> None:
        """Raise an error if the deadline has passed.

        Raises:
            ClientDisconnectedError: The client has disconnected.
            DeadlineError: The deadline has passed.
        """
        if self.is_over:
            raise self.error()


_CURRENT: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline | None:
    """Return the deadline of the request that this code works for; None outside of requests.

    Threads that `anyio` starts for a request have it; threads of background work do not.
    """
    return _CURRENT.get()


def check_deadline() -> None:
    """Raise an error if the current deadline has passed; see `Deadline.check`."""
    if (deadline := _CURRENT.get()) is not None:
        deadline.check()


@contextmanager
def working_until(deadline: Deadline | None) -> Iterator[None]:
    """Context manager: makes a deadline the current one; None for work that must not be cut off."""
    token = _CURRENT.set(deadline)
    try:
        yield
    finally:
        _CURRENT.reset(token)
