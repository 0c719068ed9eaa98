"""The fork server of the decoders, as the service sees it; see `service.audio.decoder_process`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from threading import Lock

from pydantic import TypeAdapter, ValidationError

from service.audio.decoder_protocol import MAX_MESSAGE_BYTES, Order, Report, to_bytes

START_S = 60.0
"""Longest wait for a server that starts [s]."""
ANSWER_S = 10.0
"""Longest wait for the answer to an order [s]."""
STOP_S = 5.0
"""Longest wait for the end of a server whose socket was closed [s]."""
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")

_ALLOCATOR = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(16 << 20))
"""A decoder keeps so much free memory for the next file, which saves most of its page faults."""


class ForkServerError(Exception):
    """No decoder can be started."""


class ForkServerLostError(ForkServerError):
    """The server has ended or does not answer; its decoders have ended or will."""


class ForkServer:
    """A server that was started; `wait_ready` waits until it can fork.

    It is executed anew, so that it has no thread, no memory and no descriptor of the service.

    Raises:
        ForkServerError: No process can be started.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._report = TypeAdapter(Report)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "service.audio.decoder_process",
                        str(theirs.fileno()),
                    ],
                    env={
                        **kept,
                        "PYTHONPATH": os.pathsep.join(sys.path),
                        "PYTHONDONTWRITEBYTECODE": "1",
                        "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork
                        **_ALLOCATOR,
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C goes to the service alone
                )
            except OSError as error:
                ours.close()
                raise ForkServerError(f"no process can be started: {error}") from error

    def wait_ready(self) -> None:
        """Wait until the server has loaded its libraries.

        Raises:
            ForkServerError: It does not start.
        """
        with self._lock:
            self._receive(START_S)

    def fork(self, descriptors: Sequence[int], cpu_s: int) -> int:
        """Fork a decoder and return its process id.

        Args:
            descriptors: Its channel, its shared memory and its standard error.
            cpu_s: Processor time that it may use [s].

        Raises:
            ForkServerError: The server does not answer, or the system allows no more processes.
        """
        return self._order(Order(cpu_s=cpu_s), descriptors).pid

    def end(self, pid: int) -> int:
        """End a decoder that was forked and not ended yet; return its wait status.

        Raises:
            ForkServerLostError: The server does not answer.
        """
        return self._order(Order(end=pid), ()).status

    def close(self) -> None:
        """Stop the server, and with it all decoders."""
        self._socket.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, order: Order, descriptors: Sequence[int]) -> Report:
        with self._lock:
            try:
                socket.send_fds(self._socket, [to_bytes(order)], descriptors)
            except OSError as error:
                raise ForkServerLostError(f"the fork server has ended: {error}") from error
            report = self._receive(ANSWER_S)
        if report.failure:
            raise ForkServerError(report.failure)
        return report

    def _receive(self, timeout_s: float) -> Report:
        self._socket.settimeout(timeout_s)
        try:
            if message := self._socket.recv(MAX_MESSAGE_BYTES):
                return self._report.validate_json(message)
        except (OSError, ValidationError) as error:
            self._process.kill()  # a late answer would be taken for that of the next order
            raise ForkServerLostError(f"the fork server does not answer: {error}") from error
        raise ForkServerLostError("the fork server has ended")
