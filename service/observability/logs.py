"""Logging as lines of JSON on standard error, with the id of the request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request of the current thread or task."""


class RateLimitedLog:
    """Logs at most one line in an interval, with the number of those left out.

    Args:
        logger: Gets the lines.
        level: Their level.
        interval_s: Shortest time between two lines [s].
        clock: Returns the time of a steady clock [s].
    """

    def __init__(
        self,
        logger: logging.Logger,
        level: int,
        *,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._level = level
        self._interval_s = interval_s
        self._clock = clock
        self._next = clock()
        self._n_left_out = 0

    def write(self, line: str) -> None:
        """Log a line, or count it if there was one just before."""
        now = self._clock()
        if now < self._next:
            self._n_left_out += 1
            return
        more = f" ({self._n_left_out} more lines were left out)" if self._n_left_out else ""
        self._next, self._n_left_out = now + self._interval_s, 0
        self._logger.log(self._level, "%s%s", line, more)


def configure_logging(level: str) -> None:
    """Write all logs of the process with one handler.

    Args:
        level: Lowest level that is logged: debug, info, warning or error.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            timestamp=True,
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    handler.addFilter(_add_request_id)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The service logs start and stop itself.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _add_request_id(record: logging.LogRecord) -> bool:
    if (current := request_id.get()) is not None:
        record.request_id = current
    return True
