"""HTTP/1.1 with bounds: uvicorn's protocol with limits of heads, trailers and pipelined requests.

What the parser reads is bounded while it arrives, before any of the application runs:

- the request line and headers, by their bytes and their number,
- what a chunked body has apart from data: sizes and extensions of chunks, and trailers,
- requests that a client sends before it has read the responses to earlier ones.

A request that is not HTTP/1.1, or that other servers might read as two requests, is answered with
problem details, and the connection is closed. The parser itself refuses most such requests: two
lengths, a length beside `Transfer-Encoding`, folded headers, bare line feeds.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.api.connections.pool import PROBES_ONLY, ConnectionPool, Queue
from service.api.problems import problem_response
from service.errors import ClientError, HeadTooLargeError, RequestMalformedError, ServiceError

MAX_HEAD_BYTES = 32 * 1024
"""Most bytes of a request line and its headers."""
MAX_HEADERS = 100
"""Most headers of a request."""
MAX_FRAMING_BYTES = 64 * 1024
"""Bytes of a chunked body that may always be something other than data."""
FRAMING_PER_BYTE = 8
"""Bytes of that kind that are allowed for each byte of data; a chunk of one byte has 5."""
MAX_PIPELINED = 16
"""Most requests that wait for an earlier one on the same connection."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        pool: All connections.
        **uvicorn: What uvicorn gives to a protocol.
    """

    def __init__(self, pool: ConnectionPool, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._pool = pool
        self._fault: ServiceError | None = None
        self._is_discarding = False
        self._last: ServiceError | None = None
        """Error to be answered after the earlier requests."""
        self._in_head = self._in_body = False
        self._has_ended_part = False
        """True once a head or a message has ended in the present data."""
        self._head_bytes = self._raw_head_bytes = 0
        self._body_bytes = self._framing_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Add the connection to the pool."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that every unread byte is noted
        if self._pool.add(self):
            self.app_state = {**self.app_state, PROBES_ONLY: True}

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the pool."""
        self._pool.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what the client sends."""
        self._unset_keepalive_if_required()
        if self._is_discarding:
            return
        if self._pool.is_in(self, self._pool.idle):
            self._enter(self._pool.heads)
        try:
            # In parts, so that what the parser keeps of an unfinished head is bounded too.
            for start in range(0, len(data), MAX_HEAD_BYTES):
                self._feed(data[start : start + MAX_HEAD_BYTES])
        except (httptools.HttpParserError, ClientError) as error:
            self.refuse(self._fault or RequestMalformedError(f"this is not HTTP/1.1: {error}"))

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= MAX_PIPELINED:
            detail = f"{MAX_PIPELINED} requests on this connection wait for an earlier answer"
            self._fail(RequestMalformedError(detail))
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        super().on_url(url)
        self._add_to_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are ignored (RFC 9110, 6.5.1)."""
        if self._in_body:
            return
        self._add_to_head(len(name) + len(value) + len(": \r\n"))
        if len(self.headers) >= MAX_HEADERS:
            self._fail(HeadTooLargeError(f"a request has at most {MAX_HEADERS} headers"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the application."""
        self._has_ended_part, self._in_head, self._in_body = True, False, True
        self._raw_head_bytes = self._body_bytes = self._framing_bytes = 0
        self._check_head()
        if not self.url.startswith(b"/"):
            self._take_other_target()
        self._fault = RequestMalformedError("the request target is not a valid path")
        super().on_headers_complete()
        self._fault = None
        if not self.pipeline:
            self._enter(self._pool.bodies)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._has_ended_part, self._in_body = True, False
        super().on_message_complete()
        if self._pool.is_in(self, self._pool.bodies):
            self._enter(self._pool.answering)
        elif self._pool.is_in(self, self._pool.lingering):
            self._enter(self._pool.idle)

    def on_response_complete(self) -> None:
        """Start the next request of a pipeline, or wait for one."""
        has_next = bool(self.pipeline)
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if has_next:
            is_receiving = self._in_body and not self.pipeline
            self._enter(self._pool.bodies if is_receiving else self._pool.answering)
        else:
            self._enter_after_responses()

    def pause_writing(self) -> None:
        """Wait until the client reads."""
        super().pause_writing()
        self._pool.note_unsent(self)

    def resume_writing(self) -> None:
        """Continue, as the client has read."""
        super().resume_writing()
        self._pool.note_sent(self)
        is_waiting = self._pool.is_in(self, self._pool.answering) and not self.pipeline
        if is_waiting and self.cycle is not None and self.cycle.response_complete:
            self._enter_after_responses()

    def refuse(self, error: ServiceError) -> None:
        """Answer with an error and close; earlier requests are answered first."""
        if self.transport.is_closing():
            return
        self._pool.note_closure(error.code)
        self._is_discarding = True
        if self.cycle is not None and not self.cycle.response_complete:
            if not self._in_body:
                self._last = error
                return
            # It has no body, so the application is told that the client is gone.
            self.cycle.waiting_for_100_continue = False
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline or self.cycle.response_started:
                self.transport.close()
                return
        self._end_with(error)

    def cut(self) -> None:
        """Close at once."""
        self.transport.abort()

    def unsent_bytes(self) -> int:
        """Return the bytes that wait to be sent."""
        return self.transport.get_write_buffer_size()

    def _feed(self, data: bytes) -> None:
        n_bytes, body_bytes, self._has_ended_part = len(data), self._body_bytes, False
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # Declined, so that HTTP/1.1 goes on after the request (RFC 9110, 7.8).
                data = data[upgrade.args[0] :]
            else:
                break
        if not self._has_ended_part:
            self._count(n_bytes, self._body_bytes - body_bytes)

    def _count(self, n_bytes: int, n_body_bytes: int) -> None:
        """Count data that is wholly within a head or wholly within a body."""
        if not self._in_body:
            self._raw_head_bytes += n_bytes
            if self._raw_head_bytes > MAX_HEAD_BYTES:
                self._fail(_too_large())
            return
        self._framing_bytes += n_bytes - n_body_bytes
        if self._framing_bytes > MAX_FRAMING_BYTES + FRAMING_PER_BYTE * self._body_bytes:
            self._fail(RequestMalformedError("the chunks of the body have too little data"))

    def _add_to_head(self, n_bytes: int) -> None:
        self._head_bytes += n_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self._fail(_too_large())

    def _fail(self, error: ServiceError) -> None:
        self._fault = error
        raise error

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._fail(RequestMalformedError(f"HTTP/{version} is not supported; use HTTP/1.1"))
        if self.parser.get_method() == b"CONNECT":
            self._fail(RequestMalformedError("CONNECT is not supported: this is no proxy"))
        for name, value in self.headers:
            if name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
                self._fail(RequestMalformedError("Transfer-Encoding must be chunked, in HTTP/1.1"))

    def _take_other_target(self) -> None:
        """Take a target that is no path: a whole URL, or * for OPTIONS (RFC 9112, 3.2)."""
        if self.url == b"*" and self.parser.get_method() == b"OPTIONS":
            self.url = b"/"
            return
        scheme, separator, rest = self.url.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            self._fail(RequestMalformedError("the request target must be a path"))
        authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
        path = rest[len(authority) :]
        self.url = path if path.startswith(b"/") else b"/" + path
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers.append((b"host", authority))

    def _enter_after_responses(self) -> None:
        """Enter the queue of a connection whose responses are complete."""
        if self._last is not None:
            self._end_with(self._last)
        elif self.flow.write_paused:
            self._enter(self._pool.answering)
        elif self._in_body:
            self._enter(self._pool.lingering)  # its body was not wanted
        elif self._in_head or self._raw_head_bytes:
            self._enter(self._pool.heads)
        else:
            self._enter(self._pool.idle)

    def _end_with(self, error: ServiceError) -> None:
        self._last = None
        self.flow.pause_reading()  # so that a flood costs nothing while the client may read why
        self.transport.write(self._problem(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._enter(self._pool.lingering)

    def _enter(self, queue: Queue) -> None:
        self._pool.move(self, queue)

    def _problem(self, error: ServiceError) -> bytes:
        request_id = uuid.uuid4().hex
        scope = {"path": "", "state": {"request_id": request_id}}
        response = problem_response(
            scope, error, connection="close", **{"x-request-id": request_id}
        )
        headers = [*self.server_state.default_headers, *response.raw_headers]
        lines = [b"%b: %b\r\n" % pair for pair in headers]
        return b"".join([STATUS_LINE[error.status], *lines, b"\r\n", bytes(response.body)])


def _too_large() -> HeadTooLargeError:
    return HeadTooLargeError(
        f"the request line and headers have at most {MAX_HEAD_BYTES} bytes together"
    )
