"""The service as the benchmarks run it: a process on a free port, without a cache."""

from __future__ import annotations

import http.client
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from unittest.mock import patch

import results

from service.cli.demo.server import Server, choose_port
from service.cli.index import index_folder
from service.settings import Settings

BUNDLE = results.BUNDLE
NPY = {"accept": "application/x-npy"}


@contextmanager
def running(library: Path | None = None, bundle: Path = BUNDLE) -> Iterator[Server]:
    """Run the service with the settings of the environment, by default on an empty library."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(
            port=choose_port(0),
            bundle=bundle,
            library=library or Path(folder) / "library",
            device="cpu",
            log=Path(folder) / "log",
        ) as server,
    ):
        server.wait_ready()
        yield server


@contextmanager
def service(**settings: object) -> Iterator[Server]:
    """Run the service on an empty library; identical clips are embedded anew each time."""
    values = {"cache_bytes": 0, "log_level": "warning", **settings}
    names = {f"MINUEND_{name.upper()}": str(value) for name, value in values.items()}
    with patch.dict(os.environ, names), running() as server:
        yield server


@contextmanager
def demo_service(bundle: Path = BUNDLE) -> Iterator[tuple[Server, int]]:
    """Run the service on the library of the demo; yield it and the number of clips."""
    clips = results.DEMO / "clips"
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(bundle=bundle, library=Path(folder), device="cpu")
        n_clips = index_folder(settings, clips, clips.with_suffix(".csv")).n_clips
        with running(settings.library, bundle) as server:
            yield server, n_clips


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | BinaryIO = b"",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[float, bytes, Message]:
    """Send a request; return the time until the whole answer [ms], its body and its headers.

    Raises:
        SystemExit: The answer is an error.
    """
    start = time.perf_counter()
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    elapsed_ms = 1000 * (time.perf_counter() - start)
    if response.status >= 300:
        raise SystemExit(f"{path} answered {response.status}: {content[:500]!r}")
    return elapsed_ms, content, response.headers


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
    """Read the resident memory of a process [MB]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


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
