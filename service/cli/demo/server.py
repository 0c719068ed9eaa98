"""The service as a child process that listens on the loopback address."""

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
    """Context manager that starts the service and stops it again.

    All other settings of the service come from the environment.

    Args:
        port: TCP port on the loopback address.
        bundle: Folder of the bundle.
        library: Folder of the library.
        create: Whether it may be made.
        device: Device of the encoder.
        log: File for its output.
    """

    def __init__(
        self, *, port: int, bundle: Path, library: Path, device: str, log: Path, create: bool = True
    ) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._log = log
        # -P: do not import a folder `service` of the working directory.
        self._command = [sys.executable, "-P", "-m", "service.cli", "serve", "--host", HOST]
        self._command += ["--port", str(port), "--bundle", str(bundle), "--library", str(library)]
        self._command += ["--device", device, "--create" if create else "--no-create"]

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
            if error is None:  # do not hide the first error
                raise
        finally:
            # Has an effect only if the service did not stop, or the wait for it was interrupted.
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until the service accepts requests.

        Raises:
            StartupError: The service ended, with the last line of its log; or it is not ready in
                `START_TIMEOUT_S`.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None:
                raise StartupError(self._last_line())
            if time.monotonic() > deadline:
                raise StartupError(f"the service is not ready after {START_TIMEOUT_S:g} s")
            time.sleep(POLL_S)

    def wait(self) -> None:
        """Wait until the service ends without being stopped.

        Raises:
            StartupError: Always, with the last line of its log.
        """
        self._process.wait()
        raise StartupError(self._last_line())

    def stop(self) -> None:
        """Stop the service after its current requests.

        Raises:
            StartupError: It did not stop in `STOP_TIMEOUT_S`, or ended with an error.
        """
        self._process.terminate()
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise StartupError(f"the service did not stop in {STOP_TIMEOUT_S:g} s") from error
        if code != 0:
            raise StartupError(self._last_line())

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=POLL_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return f"the service ended with exit code {self._process.returncode}: {last}"


def choose_port(port: int) -> int:
    """Return the port if it is free, otherwise another free port.

    Raises:
        StartupError: No port is free.
    """
    for candidate in (port, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, candidate))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise StartupError(f"no port is free on {HOST}")
