"""The processes of the test: servers that are killed or stopped, and commands of the shell."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torture.values import LONGEST_S

START_S = 120.0
STOP_S = 90.0
KEPT_LINES = 400
FAULTS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that servers serve."""

    path: Path
    fingerprint: str


class ServerStartError(Exception):
    """A server did not start; the text is what it wrote."""


class Server:
    """A running server.

    Args:
        number: Number of the process, used once.
        library: Folder of the library.
        bundle: The bundle.
        command: Program and arguments of the server.

    Attributes:
        port: Its port.
        is_doomed: Whether it was told to end, so that answers of it may be missing.
        lines: The last lines of its log.
    """

    _COUNTER = itertools.count(1)

    def __init__(self, library: Path, bundle: Bundle, command: Sequence[str]) -> None:
        self.number = next(self._COUNTER)
        self.library = library
        self.bundle = bundle
        self.is_doomed = False
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        settings = {"port": "0", "bundle": str(bundle.path), "library": str(library)}
        self.process = subprocess.Popen(
            command, env=environment(**settings), stderr=subprocess.PIPE, text=True
        )
        self.port = 0
        self._has_port = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def wait_ready(self) -> None:
        """Wait until requests are accepted.

        Raises:
            ServerStartError: The process ended.
        """
        self._has_port.wait(START_S)
        if not self.port:
            self.kill()
            raise ServerStartError("".join(self.lines)[-2000:])

    def kill(self) -> None:
        """Kill the process with SIGKILL and wait for its end."""
        self.is_doomed = True
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def stop(self) -> int:
        """Let the process stop in order; return its exit code, or -1 if it does not end."""
        self.is_doomed = True
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1
        finally:
            self._reader.join()

    def has_crashed(self) -> bool:
        """Return whether the process ended although nobody told it to."""
        return self.process.poll() is not None and not self.is_doomed

    def faults(self) -> str:
        """Return the tracebacks among the last lines of the log."""
        lines = [line for line in self.lines if '"exc_info"' in line or '"ERROR"' in line]
        return "".join(lines[-FAULTS_AT_ONCE:])

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                if not self.port and '"port"' in line:
                    self.port = int(json.loads(line)["port"])
                    self._has_port.set()
                self.lines.append(line)
        self._has_port.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; `code` is None if it was killed."""

    code: int | None
    out: str
    error: str


class Command:
    """A running command of the shell, `minuend ...`."""

    def __init__(self, *words: str | Path) -> None:
        self._words = " ".join(map(str, words))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *map(str, words)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __str__(self) -> str:
        return self._words

    def wait(self, kill_after_s: float | None = None) -> Outcome:
        """Wait for the end, or kill the command after a time."""
        try:
            out, error = self._process.communicate(timeout=kill_after_s or START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, error = self._process.communicate()
            return Outcome(None if kill_after_s else -1, out, error)
        return Outcome(self._process.returncode, out, error)


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a process: one thread, short windows, and these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MINUEND_")}
    given = {"threads": "1", "runs": "1", "window_s": str(LONGEST_S), **settings}
    return kept | {f"MINUEND_{name.upper()}": value for name, value in given.items()}


class Servers:
    """The servers of one library, one or two, and the clients' choice among them.

    Args:
        command: Program and arguments of a server.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._alive: list[Server] = []
        self._lock = threading.Lock()

    def start(self, library: Path, bundle: Bundle) -> Server:
        """Start a server; clients use it from now on."""
        server = self.start_private(library, bundle)
        with self._lock:
            self._alive.append(server)
        return server

    def start_private(self, library: Path, bundle: Bundle) -> Server:
        """Start a server that clients do not know."""
        server = Server(library, bundle, self._command)
        server.wait_ready()
        return server

    def kill_start(self, library: Path, bundle: Bundle, after_s: float) -> None:
        """Start a server and kill it after a time, which it may need to start [s]."""
        server = Server(library, bundle, self._command)
        time.sleep(after_s)
        server.kill()

    def remove(self, server: Server) -> None:
        """Let no client choose this server from now on."""
        with self._lock:
            self._alive.remove(server)

    def alive(self) -> list[Server]:
        with self._lock:
            return list(self._alive)

    def pick(self, share: float) -> Server | None:
        """Choose a server by a number from 0 to 1; None if there is none that stays."""
        with self._lock:
            staying = [server for server in self._alive if not server.is_doomed]
            return staying[int(share * len(staying))] if staying else None

    def kill_all(self) -> None:
        for server in self.alive():
            self.remove(server)
            server.kill()


def now() -> float:
    """Return the time of the model [s]."""
    return time.monotonic()
