"""A server that records the requests that it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

Recorded = list[tuple[str, str, bytes]]
"""Path, media type and body of each request."""


@contextmanager
def recording(status: int = 200, body: bytes = b"") -> Iterator[tuple[int, Recorded]]:
    """Run a server that gives every POST the same response; return its port and the requests."""
    recorded: Recorded = []

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
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, recorded
        finally:
            server.shutdown()
            thread.join()
