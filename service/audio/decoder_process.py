"""The processes that decode: a small server, started once, that forks confined decoders.

    python -m service.audio.decoder_process DESCRIPTOR

The server has loaded what decoding needs and nothing else: no library, no model, no keys, no
listening socket. It carries out the orders of the service and ends with it. A decoder handles one
file at a time.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import mmap
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from service.audio import sandbox
from service.audio.decoder import describe_source
from service.audio.decoder_protocol import (
    MAX_MESSAGE_BYTES,
    REGION_BYTES,
    Order,
    Reply,
    Report,
    Task,
    to_bytes,
)
from service.audio.decoding import AudioLimits, open_audio
from service.audio.errors import AudioError, AudioUndecodableError, MediaUnsupportedError
from service.audio.levels import InputMeter

_READ_BYTES = 65_536
_CHANNEL = 3
"""Descriptor of a decoder's channel; 0 to 2 are the standard ones."""

SILENT_WAV = (
    b"RIFF\x24\x3e\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\x3e\0\0"
    + bytes(15_872)
)
_WARM_STREAMS = 50
"""Streams whose callbacks fit into the memory for code; a decoder needs it for one at a time."""
SILENT_AAC = 2 * bytes.fromhex("fff16040017ffc01182007")


class DescriptorFile(io.RawIOBase):
    """A file that is read by its descriptor, whose position belongs to the service and stays.

    Args:
        descriptor: Descriptor of a regular file.
        size_bytes: Its size [bytes].
    """

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # as io calls it
        """Read into a buffer, and return the number of bytes."""
        n_read = os.preadv(self._descriptor, [buffer], self._position)
        self._position += n_read
        return n_read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a position of {base + offset}")
        self._position = base + offset
        return self._position


def main(descriptor: int) -> None:
    """Carry out orders until the service closes its end of the socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as orders:
        seccomp = sandbox.open_seccomp()
        warm_up()
        orders.send(to_bytes(Report(pid=os.getpid())))
        while True:
            message, descriptors, _, _ = socket.recv_fds(orders, MAX_MESSAGE_BYTES, 3)
            if not message:
                return
            report = _carry_out(Order(**json.loads(message)), descriptors, seccomp)
            for each in descriptors:
                os.close(each)
            orders.send(to_bytes(report))


def warm_up() -> None:
    """Do what a confined process cannot do: load modules, and get memory for callbacks.

    A callback of a library into Python is a piece of code in memory, and a confined process gets no
    more memory for code.
    """
    with ExitStack() as opened:
        for _ in range(_WARM_STREAMS):
            opened.enter_context(open_audio(io.BytesIO(SILENT_WAV), sample_rate=16_000))
    for silence in (SILENT_WAV, SILENT_AAC):
        # Without PyAV, the optional extra `aac`, the second one is refused.
        with (
            suppress(MediaUnsupportedError),
            open_audio(io.BytesIO(silence), sample_rate=16_000) as reader,
        ):
            for _ in reader.blocks(InputMeter(reader.source_rate_hz).add):
                pass
    gc.collect()
    gc.freeze()  # decoders share these objects, and do not copy them by counting references


def _carry_out(order: Order, descriptors: list[int], seccomp: ctypes.CDLL | None) -> Report:
    try:
        if order.end:
            os.kill(order.end, signal.SIGKILL)  # it is not reaped yet, so the number is still its
            return Report(status=os.waitpid(order.end, 0)[1])
        parent = os.getpid()
        if (pid := os.fork()) == 0:
            _run_decoder(descriptors, order.cpu_s, parent, seccomp)
        return Report(pid=pid)
    except OSError as error:
        return Report(failure=str(error))


def _run_decoder(
    descriptors: list[int], cpu_s: int, parent: int, seccomp: ctypes.CDLL | None
) -> None:
    """Decode files until the service closes the channel; never returns."""
    status = 1
    try:
        channel, shared, messages = descriptors
        region = mmap.mmap(shared, REGION_BYTES)
        os.dup2(messages, 2)
        if channel != _CHANNEL:
            os.dup2(channel, _CHANNEL)
        for entry in list(Path("/proc/self/fd").iterdir()):
            if int(entry.name) > _CHANNEL:
                with suppress(OSError):  # the listing itself
                    os.close(int(entry.name))
        with socket.socket(fileno=_CHANNEL) as connection:
            is_filtered = sandbox.confine(cpu_s, parent, seccomp)
            connection.send(to_bytes(Reply(is_filtered=is_filtered)))
            _decode_files(connection, region)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _decode_files(connection: socket.socket, region: mmap.mmap) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE_BYTES, 1)
        if not message:
            return
        task = Task(**json.loads(message))
        if task.is_shared:
            source: BinaryIO = io.BytesIO(region[: task.size_bytes])
        else:
            file = DescriptorFile(descriptors[0], task.size_bytes)
            source = io.BufferedReader(file, _READ_BYTES)
        for reply in _decode(task, source, region):
            connection.send(to_bytes(reply))
            if reply.is_last:
                break
            if not connection.recv(MAX_MESSAGE_BYTES):
                return
        for each in descriptors:
            os.close(each)
        source.close()
        gc.collect()  # the callbacks of this file


def _decode(task: Task, source: BinaryIO, region: mmap.mmap) -> Iterator[Reply]:
    """Yield the replies to a task; the last one states the time that the process has used."""
    limits = AudioLimits(task.max_seconds, task.max_samples)
    error: AudioError
    try:
        with open_audio(source, sample_rate=task.sample_rate, limits=limits) as reader:
            meter = InputMeter(reader.source_rate_hz)
            blocks = reader.blocks(meter.add)
            for block in blocks:
                np.frombuffer(region, np.float32, block.size)[:] = block
                if not reader.is_ended:
                    yield Reply(n_samples=block.size)
        described = describe_source(reader, meter)
        yield Reply(n_samples=block.size, source=described, used_s=time.process_time())
        return
    except AudioError as refusal:
        error = refusal
    except MemoryError:
        error = AudioUndecodableError("decoding this file needs more memory than is allowed")
    except Exception:
        failure = traceback.format_exc()[-MAX_MESSAGE_BYTES // 4 :]
        yield Reply(failure=failure, used_s=time.process_time())
        return
    yield Reply(error=error.code, detail=error.detail, used_s=time.process_time())


if __name__ == "__main__":
    main(int(sys.argv[1]))
