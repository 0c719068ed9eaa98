"""Watches the client of a request: how long it waits for its answer, and whether it is there."""

from __future__ import annotations

import asyncio
import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.concurrency.deadline import Deadline
from service.errors import RequestInvalidError

DEADLINE_HEADER = "minuend-deadline-s"
"""A client that waits less long than the service would says so here [s]."""


class DisconnectWatcher:
    """ASGI layer that begins the patience of a request and ends it when the client leaves.

    It begins when the body has been received, so that a slow line costs no answer; how long a body
    may take is bounded elsewhere. What works on the request asks for `timings.deadline`.

    Args:
        app: What answers.
        deadline_s: Longest wait for an answer; a client may ask for less [s].
    """

    def __init__(self, app: ASGIApp, *, deadline_s: float) -> None:
        self._app = app
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit_s = min(self._deadline_s, _asked_s(Headers(scope=scope)))
        except RequestInvalidError as error:
            await problem_response(scope, error)(scope, receive, send)
            return
        client = _Client(receive, scope["state"]["timings"].deadline, limit_s)
        try:
            await self._app(scope, client.receive, send)
        finally:
            client.forget()


class _Client:
    """The other end of one request."""

    def __init__(self, receive: Receive, deadline: Deadline, limit_s: float) -> None:
        self._receive = receive
        self._deadline = deadline
        self._limit_s = limit_s
        self._leaving: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        """Receive the next message; from the end of the body on, also while nobody asks for it."""
        if self._leaving is not None:
            return await asyncio.shield(self._leaving)
        message = await self._next()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._deadline.begin(self._limit_s)
            self._leaving = asyncio.create_task(self._next())
        return message

    def forget(self) -> None:
        """Watch no longer."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._deadline.abandon()
        return message


def _asked_s(headers: Headers) -> float:
    """Return how long the client waits at most [s].

    Raises:
        RequestInvalidError: It is not told as a positive number.
    """
    told = headers.get(DEADLINE_HEADER)
    if told is None:
        return math.inf
    try:
        asked_s = float(told)
    except ValueError:
        asked_s = math.nan
    if not 0 < asked_s < math.inf:
        raise RequestInvalidError(f"{DEADLINE_HEADER} {told[:32]!r} is no positive number")
    return asked_s
