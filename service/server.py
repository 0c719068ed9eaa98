"""The server process: socket, signals and exit code around the application."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from fastapi import FastAPI

from service.api.connections.opening import handle_accept_errors, open_pool
from service.api.connections.protocol import BoundedProtocol
from service.app import create_app
from service.audio.library_messages import divert_standard_streams
from service.errors import SettingsError, StartupError
from service.observability.logs import configure_logging
from service.settings import Settings

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 75
"""Time for which an idle connection is kept [s].

Proxies and load balancers usually keep theirs for 60 s. If the service closed a connection first, a
request that is being sent on it would be lost.
"""
SWITCH_S = 0.0005
"""Time after which a thread gives the interpreter to another that waits for it [s].

A thread waits so long after a run of the encoder: beside a busy thread 0.65 ms (median), and 5.1 ms
with Python's default of 5 ms.
"""
BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before other work goes on."""


def serve(
    settings: Settings, *, on_listening: Callable[[str, int], object] = lambda host, port: None
) -> int:
    """Serve until the process gets SIGTERM or SIGINT, and return its exit code.

    Running requests then have up to `shutdown_grace_s` to finish. If the service cannot start, the
    reason is written to standard error.

    Args:
        settings: The settings of the process.
        on_listening: Called with address and port when requests are accepted.
    """
    configure_logging(settings.log_level)
    sys.setswitchinterval(SWITCH_S)
    divert_standard_streams()
    _schedule_as_batch()
    try:
        with _listening_socket(settings) as listener:
            asyncio.run(_serve(create_app(settings), settings, listener, on_listening))
    except StartupError as error:
        sys.stderr.write(f"minuend cannot start: {error}\n")
        return error.exit_code
    return 0


def _schedule_as_batch() -> None:
    """Let Linux interrupt fewer threads for others that wake; priorities stay as they are.

    Measured: 6.6 instead of 10.3 interruptions for a clip of 5 s, of one client, on busy cores.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, so that a requested stop has exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio takes one number for both


async def _serve(
    app: FastAPI,
    settings: Settings,
    listener: socket.socket,
    on_listening: Callable[[str, int], object],
) -> None:
    loop = asyncio.get_running_loop()
    pool = open_pool(settings, app.state.metrics, loop, keep_alive_s=KEEP_ALIVE_S)
    handle_accept_errors(loop, pool)
    config = uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], partial(BoundedProtocol, pool)),
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )
    server = _Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    # Entered here because uvicorn would lose a startup error and its exit code.
    async with app.router.lifespan_context(app):
        # The opened objects stay to the end. Without freezing them, a full garbage collection stops
        # all threads for 120 ms (90,000 objects).
        gc.collect()
        gc.freeze()
        listener.listen(BACKLOG)
        host, port = listener.getsockname()[:2]
        logger.info("listening", extra={"host": host, "port": port})
        on_listening(host, port)
        await server.serve(sockets=[listener])
        logger.info("stopping")


@contextmanager
def _listening_socket(settings: Settings) -> Iterator[socket.socket]:
    """Bind the address before anything is loaded, so that a port in use is reported at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"MINUEND_HOST={settings.host}: {error.strerror}") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror};"
                " set MINUEND_PORT to another"
            ) from error
        yield listener
