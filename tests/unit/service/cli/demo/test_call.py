from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from service_client import Client

from service.cli.demo.call import Call


@contextmanager
def recording(status: int, body: bytes) -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    """Run a server that answers one request; return its port and the recorded requests."""
    recorded: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            recorded.append((self.path, self.headers["Content-Type"], content))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_port, recorded
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a sound.wav"
    path.write_bytes(b"RIFF\r\n--\0")
    return path


def test_the_curl_command_is_quoted_for_a_shell(file: Path) -> None:
    call = Call("/search", {"audio": file}, {"k": 3})

    assert shlex.split(call.curl("http://host:1")) == [
        *("curl", "-s", "-F", f"audio=@{file}", "-F", "k=3"),
        "http://host:1/search",
    ]
    assert "'audio=@a sound.wav'" in call.curl("", show=lambda path: path.name)


def test_the_service_can_read_the_form(client: Client, file: Path) -> None:
    """The request is recorded by a server, and its body is then sent to the service."""
    call = Call("/search", {"audio": file}, {"k": 0})

    with recording(422, b'{"code": "x"}') as (port, recorded):
        reply = call.send(port)

    ((path, media_type, content),) = recorded
    assert (reply.status, reply.body) == (422, {"code": "x"})
    assert reply.duration_s > 0
    assert file.read_bytes() in content
    answer = client.post(path, content=content, headers={"content-type": media_type})
    assert answer.json()["code"] == "k_out_of_range"
