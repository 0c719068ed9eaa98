"""The real server in a process of its own, on a free port of the loopback interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

STOP_S = 60


def start(**settings: object) -> subprocess.Popen[str]:
    """Start `python -m service` with these settings and no others."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MINUEND_")}
    given = {f"MINUEND_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "service"],
        env={**environment, "MINUEND_PORT": "0", "MINUEND_THREADS": "1", **given},
        stderr=subprocess.PIPE,
        text=True,
    )


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def memory_bytes(self) -> int:
        """Return the resident memory of the process."""
        (line,) = (
            line
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS:")
        )
        return 1024 * int(line.split()[1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell the server to stop and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)


@contextmanager
def running(bundle: Path, library: Path, **settings: object) -> Iterator[Server]:
    """Run a server; it is killed in the end if it was not stopped before."""
    process = start(bundle=bundle, library=library, **settings)
    try:
        server = Server(process, _port(process))
        with server.client:
            yield server
    finally:
        process.kill()
        process.communicate()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("{") and "port" in (record := json.loads(line)):
            return int(record["port"])
    raise AssertionError(f"the server did not start: {''.join(lines)}")
