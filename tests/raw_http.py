"""A connection on which tests write bytes as they please, and read responses."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self


class Answer:
    """One response."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        pairs = [line.partition(": ") for line in lines]
        self.headers = {name.lower(): value for name, _, value in pairs}
        self.body = body

    @property
    def problem(self) -> dict[str, Any]:
        """The body, which must be problem details."""
        assert self.headers["content-type"] == "application/problem+json"
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class RawConnection:
    """A connection to a port of the loopback interface."""

    def __init__(self, port: int, timeout_s: float = 20.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_until_closed(self, data: bytes, most_bytes: int) -> int:
        """Send the same data again and again, and return how many bytes were taken."""
        sent = 0
        try:
            while sent < most_bytes:
                self._socket.sendall(data)
                sent += len(data)
        except OSError:
            pass
        return sent

    def read(self) -> Answer:
        """Read one response with a declared length."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        length = int(answer.headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        answer.body, self._received = self._received[:length], self._received[length:]
        return answer

    def is_closed(self, within_s: float) -> bool:
        """Return whether the server closes in time; what it sends before is discarded."""
        self._socket.settimeout(within_s)
        try:
            while self._socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise EOFError(f"the server closed after {self._received!r}")
        self._received += data
