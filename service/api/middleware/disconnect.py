"""Deadline and disconnection of the client of a request."""

from __future__ import annotations

import asyncio
import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.concurrency.deadline import Deadline, working_until
from service.errors import RequestInvalidError

DEADLINE_HEADER = "minuend-deadline-s"
"""Header in which a client asks for an earlier deadline [s]."""


class DisconnectWatcher:
    """ASGI layer that starts the deadline of a request and ends it when the client disconnects.

    The deadline starts when the body has been received, so that a slow upload is not cut off; the
    time of an upload has its own limit. That of a request without a body starts at once. Workers
    check `timings.deadline`, which is also the current deadline of the request.

    Args:
        app: The next layer.
        deadline_s: Longest wait for a response; a client may ask for less [s].
    """

    def __init__(self, app: ASGIApp, *, deadline_s: float) -> None:
        self._app = app
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit_s = min(self._deadline_s, _requested_s(Headers(scope=scope)))
        except RequestInvalidError as error:
            await problem_response(scope, error)(scope, receive, send)
            return
        deadline = scope["state"]["timings"].deadline
        client = _Client(receive, deadline, limit_s)
        try:
            if scope["method"] not in ("POST", "PUT"):
                deadline.begin(limit_s)  # no handler of these reads a body
            if _has_no_body(scope):
                await client.begin()
            with working_until(deadline):
                await self._app(scope, client.receive, send)
        finally:
            client.close()


class _Client:
    """The client of one request."""

    def __init__(self, receive: Receive, deadline: Deadline, limit_s: float) -> None:
        self._receive = receive
        self._deadline = deadline
        self._limit_s = limit_s
        self._disconnect: asyncio.Task[Message] | None = None
        self._received: Message | None = None

    async def begin(self) -> None:
        """Receive the empty body of a request and begin to wait for a disconnect.

        Handlers of such requests receive nothing, so they would not notice a disconnect.
        """
        message = await self.receive()
        while message.get("more_body", False) and not message.get("body"):
            message = await self.receive()
        self._received = message

    async def receive(self) -> Message:
        """Receive the next message; after the body, wait for a disconnect in the background."""
        if self._received is not None:
            message, self._received = self._received, None
            return message
        if self._disconnect is not None:
            return await asyncio.shield(self._disconnect)
        message = await self._next()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._deadline.begin(self._limit_s)
            self._disconnect = asyncio.create_task(self._next())
        return message

    def close(self) -> None:
        """Stop waiting for a disconnect."""
        if self._disconnect is not None:
            self._disconnect.cancel()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._deadline.abandon()
        return message


def _has_no_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def _requested_s(headers: Headers) -> float:
    """Return the deadline that the client asks for, infinite if it asks for none [s].

    Raises:
        RequestInvalidError: It is not a positive number.
    """
    text = headers.get(DEADLINE_HEADER)
    if text is None:
        return math.inf
    try:
        requested_s = float(text)
    except ValueError:
        requested_s = math.nan
    if not 0 < requested_s < math.inf:
        raise RequestInvalidError(f"{DEADLINE_HEADER} {text[:32]!r} is no positive number")
    return requested_s
