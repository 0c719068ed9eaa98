"""Log lines as JSON on standard error, each with the id of the request it belongs to."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that the current thread or task works on."""


def configure_logging(level: str) -> None:
    """Send all logging of the process through one handler.

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
    # uvicorn tells of each start and stop in words of its own; ours are enough.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _add_request_id(record: logging.LogRecord) -> bool:
    if (current := request_id.get()) is not None:
        record.request_id = current
    return True
