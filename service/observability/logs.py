"""Logging as lines of JSON on standard error, with the id of the request."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request of the current thread or task."""


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
