"""Multipart request of the demo, and the curl command that sends the same."""

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
    """Answer of the service: status, JSON body, and time until it came [s]."""

    status: int
    body: dict[str, Any]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Call:
    """A POST request with a multipart form.

    Attributes:
        path: Path of the endpoint.
        files: File parts by name.
        fields: Text parts by name.
    """

    path: str
    files: Mapping[str, Path] = field(default_factory=dict)
    fields: Mapping[str, str | int] = field(default_factory=dict)

    def curl(self, url: str, *, show: Callable[[Path], str] = str) -> str:
        """Return the curl command that sends the same request.

        Args:
            url: Address of the service, without a path.
            show: Formats the path of a file.
        """
        parts = [f"{name}=@{show(path)}" for name, path in self.files.items()]
        parts += [f"{name}={value}" for name, value in self.fields.items()]
        return f"curl -s {' '.join(f'-F {shlex.quote(part)}' for part in parts)} {url}{self.path}"

    def send(self, port: int) -> Reply:
        """Send the request and wait for the answer.

        Raises:
            OSError: The service does not answer, or a file cannot be read.
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
