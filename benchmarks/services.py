"""The service as the benchmarks run it: a process on a free port, without a cache."""

from __future__ import annotations

import http.client
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import results

from service.cli.demo.server import Server, choose_port

BUNDLE = results.BUNDLE
NPY = {"accept": "application/x-npy"}


@contextmanager
def service(**settings: object) -> Iterator[Server]:
    """Run the service on an empty library; identical clips are embedded anew each time."""
    values = {"cache_bytes": 0, "log_level": "warning", **settings}
    names = {f"MINUEND_{name.upper()}": str(value) for name, value in values.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        with tempfile.TemporaryDirectory() as folder, serve(BUNDLE, Path(folder)) as server:
            yield server
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def serve(bundle: Path, folder: Path) -> Iterator[Server]:
    """Run the service with its default settings on the library of a folder, on a free port."""
    library, log = folder / "library", folder / "log"
    with Server(
        port=choose_port(0), bundle=bundle, library=library, create=True, device="cpu", log=log
    ) as server:
        server.wait_ready()
        yield server


def send(
    connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[float, str, bytes]:
    """Send a request; return the time of the answer [s], its `Server-Timing` and its content.

    Raises:
        SystemExit: It was not successful.
    """
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    start = time.perf_counter()
    connection.request(method, path, body, fields)
    response = connection.getresponse()
    content = response.read()
    elapsed_s = time.perf_counter() - start
    if response.status >= http.client.MULTIPLE_CHOICES:
        raise SystemExit(f"{path} answered {response.status}: {content[:500]!r}")
    return elapsed_s, response.headers["server-timing"] or "", content


class Memory:
    """Samples the resident memory of a process while the context is open [MB]."""

    PERIOD_S = 0.1

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.idle_mb = resident_mb(pid)
        self.peak_mb = self.idle_mb

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(self.PERIOD_S):
            self.peak_mb = max(self.peak_mb, resident_mb(self._pid))


def resident_mb(pid: int) -> float:
    """Read the resident memory of a process [MB]; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(lines[0].split()[1]) * 1024 / 1e6 if lines else 0.0


def cpu_s(pid: int) -> float:
    """Read the processor time of a process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid: int) -> float:
    """Read the processor time of a process and its descendants [s]."""
    return sum(cpu_s(process) for process in tree(pid))


def tree(pid: int) -> set[int]:
    """Return a process and its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # the process has ended
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while added := {child for child, parent in parents.items() if parent in found} - found:
        found |= added
    return found
