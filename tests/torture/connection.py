"""Connections of a client to one server, which stay open between requests and can be cut."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

HOST = "127.0.0.1"
TIMEOUT_S = 60.0

Body = bytes | None


class NotSentError(Exception):
    """The server cannot have received the whole request, so it has not acted on it."""


class NoAnswerError(Exception):
    """The request was sent and the answer did not come, or not all of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a client leaves before it has its answer.

    Attributes:
        sent: Share of the body after which it leaves; 1 if it sends all of it.
        wait_s: How long it waits after what it has sent [s].
    """

    sent: float = 1.0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, complete; times are of `time.monotonic` [s]."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    start: float
    end: float

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.content)
        return body

    @property
    def code(self) -> str:
        """Code of a problem; empty for another answer."""
        is_problem = self.headers.get("content-type", "").startswith("application/problem+json")
        return str(self.body["code"]) if is_problem else ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Body = None
    headers: Mapping[str, str] | None = None

    @property
    def target(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.method} {self.target:.160}"


class Connection:
    """A connection to a server; it is opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request, cut: Cut | None = None) -> Answer:
        """Send a request and return its answer.

        Raises:
            NotSentError: There is no connection, or the client left before the end of the body.
            NoAnswerError: The connection ended before the answer did.
        """
        try:
            if self._http.sock is None:
                self._http.connect()
        except OSError as error:
            raise NotSentError(str(error)) from error
        start = time.monotonic()
        try:
            self._write(request, cut)
            response = self._http.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, content, start, time.monotonic())

    def _write(self, request: Request, cut: Cut | None) -> None:
        body = request.body or b""
        sent = body if cut is None else body[: int(cut.sent * len(body))]
        self._http.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in (request.headers or {}).items():
            self._http.putheader(name, value)
        if body or request.method in ("POST", "PUT"):
            self._http.putheader("content-length", str(len(body)))
        self._http.endheaders(sent)
        if cut is None:
            return
        time.sleep(cut.wait_s)
        self._http.close()
        if len(sent) < len(body):
            raise NotSentError("the client left during its upload")
        raise NoAnswerError("the client left")


def form(audio: bytes, metadata: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return a multipart body with audio and metadata, and its headers."""
    boundary = "minuend-torture-boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
    middle = (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    parts = (
        head.encode(),
        json.dumps(metadata).encode(),
        middle.encode(),
        audio,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return b"".join(parts), {"content-type": f"multipart/form-data; boundary={boundary}"}
