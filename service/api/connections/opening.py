"""The pool of connections of a process: its settings, its limit of open files, and its log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from typing import Any

from service.api.connections.pool import ConnectionLimits, ConnectionPool
from service.observability.logs import RateLimitedLog
from service.observability.metrics import Metrics
from service.settings import Settings

logger = logging.getLogger(__name__)

OTHER_FILES = 1000
"""File descriptors that are kept for the library and for bodies on the disk."""


def open_pool(
    settings: Settings,
    metrics: Metrics,
    loop: asyncio.AbstractEventLoop,
    *,
    keep_alive_s: float,
) -> ConnectionPool:
    """Return a pool of connections that fits the limit of open files.

    Args:
        settings: The settings of the process.
        metrics: Counts connections, and those that are closed.
        loop: Gives the time.
        keep_alive_s: Longest time for which a connection may have no request [s].
    """
    allowed = raise_file_limit(settings.max_connections + OTHER_FILES)
    largest = max(allowed - OTHER_FILES, allowed // 2)
    if largest < settings.max_connections:
        logger.warning(
            "at most %d connections, not the %d of MINUEND_MAX_CONNECTIONS: %d files may be open",
            largest,
            settings.max_connections,
            allowed,
        )
    limits = ConnectionLimits(
        max_connections=min(settings.max_connections, largest),
        head_timeout_s=settings.head_timeout_s,
        keep_alive_s=keep_alive_s,
        read_timeout_s=settings.body_timeout_s,
    )
    closures = RateLimitedLog(logger, logging.WARNING)

    def on_closure(reason: str) -> None:
        metrics.closures.labels(reason).inc()
        closures.write(f"closed a connection: {reason}")

    return ConnectionPool(
        limits, clock=loop.time, on_change=metrics.connections.set, on_closure=on_closure
    )


def raise_file_limit(wanted: int) -> int:
    """Let the process open more files, and return how many it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft


def handle_accept_errors(loop: asyncio.AbstractEventLoop, pool: ConnectionPool) -> None:
    """Log one line a second where asyncio logs one for each attempt, and make room."""
    refusals = RateLimitedLog(logger, logging.ERROR)

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if "accept" in context.get("message", "") and isinstance(error, OSError):
            refusals.write(f"a connection cannot be accepted: {error.strerror}")
            pool.make_room()
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
