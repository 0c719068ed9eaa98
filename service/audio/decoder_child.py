"""One process that decodes, as the service sees it: its channel, its samples and its messages."""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import shutil
import socket
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Float32
from pydantic import TypeAdapter, ValidationError

from service.audio.decoder_protocol import (
    MAX_MESSAGE_BYTES,
    NEXT,
    REGION_BYTES,
    Reply,
    Task,
    to_bytes,
)
from service.audio.decoding import MAX_AMPLITUDE, AudioLimits
from service.audio.fork_server import ANSWER_S, ForkServer, ForkServerError
from service.audio.library_messages import decode_messages
from service.concurrency.deadline import Deadline

MAX_SAMPLE = 10 * MAX_AMPLITUDE
"""No resampling exceeds the samples of a source so far."""
CHECK_S = 0.05
"""A thread that waits for a decoder looks so often whether the client has left [s]."""


@cache
def _reply_checker() -> TypeAdapter[Reply]:
    return TypeAdapter(Reply)


class ChildEndedError(Exception):
    """The process has ended, or has sent what a decoder does not send."""


class DecoderChild:
    """A decoder that was forked and is confined.

    Attributes:
        is_filtered: Whether its system calls are filtered.
        n_files: Files that it was given.
        used_s: Processor time that it has used after its last file [s].

    Raises:
        ForkServerError: It cannot be started.
    """

    def __init__(self, server: ForkServer, cpu_s: int) -> None:
        self.n_files = 0
        self.used_s = 0.0
        self._server = server
        with ExitStack() as opened, ExitStack() as of_child:
            self._channel, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(self._channel)
            # Cheaper than the timeout of Python, which is one more call of the system each time.
            wait = struct.pack("@ll", 0, int(1e6 * CHECK_S))
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
            of_child.enter_context(channel)
            shared = os.memfd_create("samples")
            of_child.callback(os.close, shared)
            os.ftruncate(shared, REGION_BYTES)
            self._region = opened.enter_context(mmap.mmap(shared, REGION_BYTES))
            self._messages, messages = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            opened.callback(os.close, self._messages)
            of_child.callback(os.close, messages)
            self._pid = server.fork([channel.fileno(), shared, messages], cpu_s)
            self._opened = opened.pop_all()
        try:
            hello = self._receive(deadline_in(ANSWER_S))
        except Exception as error:
            messages_text = "; ".join(self.read_messages()[-1:])
            self.end()
            raise ForkServerError(f"a decoder cannot be confined: {messages_text}") from error
        self.is_filtered = hello.is_filtered

    def give(self, source: BinaryIO, sample_rate: int, limits: AudioLimits) -> bool:
        """Give it a file; False if it had ended before, through no fault of the file."""
        self.n_files += 1
        size_bytes = source.seek(0, io.SEEK_END)
        source.seek(0)
        with ExitStack() as opened:
            is_shared = _is_in_memory(source) and size_bytes <= REGION_BYTES
            descriptors = []
            if is_shared:
                # Files have the `readinto` that is needed, though BinaryIO does not declare it.
                source.readinto(memoryview(self._region)[:size_bytes])  # type: ignore[attr-defined]
            else:
                descriptors = [opened.enter_context(readable_descriptor(source))]
            task = Task(size_bytes, is_shared, sample_rate, limits.max_seconds, limits.max_samples)
            try:
                socket.send_fds(self._channel, [to_bytes(task)], descriptors)
            except OSError:
                return False
        return True

    def ask_next(self) -> None:
        """Ask for the next block.

        Raises:
            ChildEndedError: It has ended.
        """
        try:
            self._channel.send(NEXT)
        except OSError as error:
            raise ChildEndedError from error

    def receive(self, deadline: Deadline) -> tuple[Reply, Float32[np.ndarray, " samples"]]:
        """Wait for its answer, and return it with a copy of the samples.

        Raises:
            ChildEndedError: It has ended.
            ClientDisconnectedError: The client has disconnected.
            DeadlineError: The deadline passed.
        """
        reply = self._receive(deadline)
        if not 0 <= 4 * reply.n_samples <= REGION_BYTES:
            raise ChildEndedError
        samples = np.frombuffer(self._region, np.float32, reply.n_samples).copy()
        lowest, highest = samples.min(initial=0), samples.max(initial=0)
        if not -MAX_SAMPLE <= lowest <= highest <= MAX_SAMPLE:  # also true of NaN
            raise ChildEndedError  # a decoder refuses such samples itself
        self.used_s = max(self.used_s, reply.used_s)
        return reply, samples

    def read_messages(self) -> list[str]:
        """Return what the libraries have written to standard error since the last call."""
        waiting = fcntl.ioctl(self._messages, termios.FIONREAD, bytes(4))
        n_bytes = int.from_bytes(waiting, sys.byteorder)
        return decode_messages(os.read(self._messages, n_bytes)) if n_bytes else []

    def end(self) -> int:
        """End the process; return its wait status, that of its own end if it had ended before."""
        try:
            return self._server.end(self._pid)
        finally:
            self._opened.close()

    def _receive(self, deadline: Deadline) -> Reply:
        while True:
            try:
                message = self._channel.recv(MAX_MESSAGE_BYTES)
                break
            except BlockingIOError:  # after CHECK_S
                deadline.check()
            except OSError as error:
                raise ChildEndedError from error
        if not message:
            raise ChildEndedError
        try:
            return _reply_checker().validate_json(message)
        except ValidationError as error:
            raise ChildEndedError from error


def deadline_in(limit_s: float) -> Deadline:
    """Return a deadline some seconds from now."""
    deadline = Deadline()
    deadline.begin(limit_s)
    return deadline


@contextmanager
def readable_descriptor(source: BinaryIO) -> Iterator[int]:
    """Give a descriptor of a file from which a decoder can read, and to which it cannot write."""
    with ExitStack() as opened:
        if _is_in_memory(source):
            copy = opened.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(source, copy)
            copy.flush()
            source = cast(BinaryIO, copy)
        descriptor = source.fileno()
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
            opened.callback(os.close, descriptor)
        yield descriptor


def _is_in_memory(source: BinaryIO) -> bool:
    """Tell whether a file has no descriptor; asking an upload for it would write it to a disk."""
    if not getattr(source, "_rolled", True):  # a SpooledTemporaryFile, which has no public name
        return True
    try:
        source.fileno()
    except io.UnsupportedOperation:
        return True
    return False
