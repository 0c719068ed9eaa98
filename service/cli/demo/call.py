"""One request to the service, as the demo sends it and as curl would."""

from __future__ import annotations

import http.client
import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from service.cli.demo.server import HOST

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, the JSON body, and how long it took [s]."""

    status: int
    body: dict[str, Any]
    took_s: float


@dataclass(frozen=True, slots=True)
class Call:
    """A form posted to the service.

    Attributes:
        path: Of the endpoint.
        files: File parts by name.
        fields: Other parts by name.
    """

    path: str
    files: Mapping[str, Path] = field(default_factory=dict)
    fields: Mapping[str, str | int] = field(default_factory=dict)

    def curl(self, url: str, *, show: Callable[[Path], str] = str) -> str:
        """Return the command line that does the same; `show` says how to write a path."""
        parts = [f"{name}=@{show(path)}" for name, path in self.files.items()]
        parts += [f"{name}={value}" for name, value in self.fields.items()]
        return f"curl -s {' '.join(f'-F {shlex.quote(part)}' for part in parts)} {url}{self.path}"

    def send(self, port: int) -> Reply:
        """Send it and wait for the answer.

        Raises:
            OSError: Nobody answers, or a file cannot be read.
        """
        boundary = uuid4().hex
        body = self._body(boundary.encode())
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        start = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        return Reply(response.status, answer, time.perf_counter() - start)

    def _body(self, boundary: bytes) -> bytes:
        parts = [
            (f'name="{name}"; filename="{path.name}"', path.read_bytes())
            for name, path in self.files.items()
        ]
        parts += [(f'name="{name}"', str(value).encode()) for name, value in self.fields.items()]
        lines: list[bytes] = []
        for disposition, content in parts:
            head = f"Content-Disposition: form-data; {disposition}".encode()
            lines += [b"--" + boundary, head, b"", content]
        return b"\r\n".join([*lines, b"--" + boundary + b"--", b""])
