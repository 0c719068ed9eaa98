"""How long an answer to a request is still wanted: until its deadline, or until its client left."""

from __future__ import annotations

import math
import time

from service.errors import DeadlineError


class ClientDisconnectedError(Exception):
    """The client left; nobody would read an answer."""


class Deadline:
    """How long the answer to one request is wanted; any thread may ask.

    It is without end until it begins.

    Attributes:
        ends: When the deadline passes, by the clock of `time.monotonic` [s].
    """

    def __init__(self) -> None:
        self.ends = math.inf
        self._limit_s: float | None = None
        self._is_abandoned = False

    def begin(self, limit_s: float) -> None:
        """Let it end after `limit_s` from now [s]."""
        self._limit_s = limit_s
        self.ends = time.monotonic() + limit_s

    def abandon(self) -> None:
        """Let it end now: the client left."""
        self._is_abandoned = True

    @property
    def left_s(self) -> float | None:
        """What is left of it [s], at least 0; None while it has no end."""
        if self._is_abandoned:
            return 0.0
        return None if self.ends == math.inf else max(0.0, self.ends - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the answer is no longer wanted."""
        return self.left_s == 0

    def error(self) -> ClientDisconnectedError | DeadlineError:
        """Return why it is over."""
        if self._is_abandoned:
            return ClientDisconnectedError("the client left before its answer")
        return DeadlineError(f"no answer within {self._limit_s or 0:g} s; try again later")

    def check(self) -> None:
        """Do nothing while it lasts.

        Raises:
            ClientDisconnectedError: The client left.
            DeadlineError: The deadline passed.
        """
        if self.is_over:
            raise self.error()
