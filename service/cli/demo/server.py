"""The service as a child process on loopback."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from service.errors import StartupError

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 40.0
POLL_S = 0.05
POLL_TIMEOUT_S = 2.0


class Server:
    """Starts the service when the context is entered and stops it when it is left.

    What else the service is to know it takes from the environment, as it always does.

    Args:
        port: Where it listens.
        bundle: Folder of the bundle it serves.
        library: Folder of its library.
        device: Where its encoder runs.
        log: File for what it has to say.
    """

    def __init__(self, *, port: int, bundle: Path, library: Path, device: str, log: Path) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._log = log
        # -P: not to take a folder `service` that happens to be where the command is run.
        self._command = [sys.executable, "-P", "-m", "service.cli", "serve", "--host", HOST]
        self._command += ["--port", str(port), "--bundle", str(bundle), "--library", str(library)]
        self._command += ["--device", device]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except StartupError:
            if error is None:  # how it ended matters less than why it had to
                raise
        finally:
            # Only where it did not stop, or waiting for it was interrupted.
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process the service runs as."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until requests are welcome.

        Raises:
            StartupError: The service ended, with its own last words; or it takes too long.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None:
                raise StartupError(self._last_words())
            if time.monotonic() > deadline:
                raise StartupError(f"the service is not ready after {START_TIMEOUT_S:g} s")
            time.sleep(POLL_S)

    def wait(self) -> None:
        """Wait until the service ends by itself, which it should not.

        Raises:
            StartupError: Always, with the last words of the service.
        """
        self._process.wait()
        raise StartupError(self._last_words())

    def stop(self) -> None:
        """Let the service end its requests and stop.

        Raises:
            StartupError: It had to be killed, or ended with an error.
        """
        self._process.terminate()
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise StartupError(f"the service did not stop in {STOP_TIMEOUT_S:g} s") from error
        if code != 0:
            raise StartupError(self._last_words())

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=POLL_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        words = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return f"the service ended with exit code {self._process.returncode}: {words}"


def choose_port(port: int) -> int:
    """Return the port if it is free, and otherwise one that is."""
    for choice in (port, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, choice))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise StartupError(f"no port is free on {HOST}")
