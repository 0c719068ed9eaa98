"""Limits of a request body: its size, its pauses and its rate; HEAD requests as GET."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import BodyTimeoutError, BodyTooLargeError, ClientError, RequestInvalidError

LINGER_S = 2.0
"""Longest time for which an unwanted body is read and discarded after the response [s].

Most clients read the response after they have sent their body, and if a connection is closed with
unread bytes, the response is lost.
"""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of a body.

    Attributes:
        max_bytes: Largest body [bytes].
        pause_s: Longest wait for the next bytes [s].
        min_bytes_per_s: Least mean rate, after the longest wait [bytes/s].
    """

    max_bytes: int
    pause_s: float
    min_bytes_per_s: float

    def wait_s(self, n_bytes: int) -> float:
        """Return the longest time to wait in all for a number of bytes [s]."""
        return self.pause_s + n_bytes / self.min_bytes_per_s if self.min_bytes_per_s else math.inf


class BodyLimit:
    """ASGI layer that limits the size of a body and the time that its bytes take.

    A declared length is checked before anything is read, and bytes are counted as they arrive. If
    the body is not read to its end, the response is sent first, and the rest of the body is then
    discarded for up to `LINGER_S`.

    Only the time counts for which the service waits for the client, not that of its own work.

    Args:
        app: The next layer.
        limits: The limits of each body.
    """

    def __init__(self, app: ASGIApp, *, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._limits)
        try:
            body.check_declared()
        except ClientError as error:
            await problem_response(scope, error)(scope, receive, body.lingering(send))
        else:
            await self._app(scope, body.receive, body.lingering(send))


class _Body:
    """The body of one request while it is received."""

    def __init__(self, scope: Scope, receive: Receive, limits: BodyLimits) -> None:
        headers = Headers(scope=scope)
        self._declared = headers.get("content-length")
        self._receive = receive
        self._limits = limits
        self._size_bytes = 0
        self._waited_s = 0.0
        self._withheld = headers.get("expect", "").lower() == "100-continue"
        self._complete = self._declared in (None, "0") and "transfer-encoding" not in headers

    def check_declared(self) -> None:
        """Check the Content-Length.

        Raises:
            RequestInvalidError: It is not a number.
            BodyTooLargeError: It is over the limit.
        """
        if self._declared is None:
            return
        if not (self._declared.isascii() and self._declared.isdigit()):
            raise RequestInvalidError(f"Content-Length {self._declared[:32]!r} is not a length")
        if int(self._declared[:20]) > self._limits.max_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """Receive the next part of the body.

        Raises:
            BodyTooLargeError: The body is over the limit.
            BodyTimeoutError: The next bytes took too long, or all did.
        """
        if self._complete:
            return await self._receive()
        self._withheld = False
        left_s = self._limits.wait_s(self._size_bytes) - self._waited_s
        start = time.perf_counter()
        try:
            async with asyncio.timeout(min(self._limits.pause_s, left_s)):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow(is_pause=left_s >= self._limits.pause_s) from None
        self._waited_s += time.perf_counter() - start
        self._count(message)
        if self._size_bytes > self._limits.max_bytes:
            raise self._too_large()
        return message

    def lingering(self, send: Send) -> Send:
        """Return `send` that reads the rest of the body before it ends the response."""

        async def send_then_drain(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not ends or self._complete or self._withheld:
                await send(message)
                return
            await send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    while not self._complete:
                        self._count(await self._receive())
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        return send_then_drain

    def _count(self, message: Message) -> None:
        self._size_bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"a request body has at most {self._limits.max_bytes} bytes")

    def _too_slow(self, *, is_pause: bool) -> BodyTimeoutError:
        limits = self._limits
        if is_pause:
            return BodyTimeoutError(f"no bytes of the body came for {limits.pause_s:g} s")
        return BodyTimeoutError(
            f"{self._size_bytes} bytes of the body came in {limits.wait_s(self._size_bytes):.0f} s;"
            f" at least {limits.min_bytes_per_s:g} a second must come"
        )


class HeadAsGet:
    """ASGI layer that handles HEAD as GET and sends no body.

    The Range header has a meaning for GET only (RFC 9110, 14.2). The key `minuend.head` of the
    scope tells a route that its body is not sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        as_get = {**scope, "method": "GET", "headers": headers, "minuend.head": True}
        await self._app(as_get, receive, send_headers)
        scope.update((key, as_get[key]) for key in ("route",) if key in as_get)
