"""Messages between the service and the processes that decode: JSON, one in each packet of a socket.

The service never loads code or objects from a decoder, only values that it checks. The samples of a
block are in memory that both share.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from service.audio.decoder import DecodedSource

MAX_MESSAGE_BYTES = 16_384
REGION_BYTES = 64 * 1024 * 1024
"""Shared memory of one decoder, for small files and for blocks; any block fits [bytes]."""
NEXT = b"next"
"""Asks for the next block."""


@dataclass(frozen=True, slots=True)
class Task:
    """A file to decode: a descriptor that comes with the message, or bytes in the shared memory.

    Attributes:
        size_bytes: Size of the file [bytes].
        is_shared: Whether the bytes of the file are in the shared memory.
        sample_rate: Rate of the waveform [Hz].
        max_seconds: Longest clip [s].
        max_samples: Most samples.
    """

    size_bytes: int
    is_shared: bool
    sample_rate: int
    max_seconds: float
    max_samples: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a task or to `NEXT`; one is sent before the first task.

    Attributes:
        is_filtered: In that first one, whether the system calls of the decoder are filtered.
        n_samples: Length of the block in the shared memory.
        source: With the last block, the description of the source.
        error: Code of the `AudioError` that ended decoding.
        detail: Its text.
        failure: Traceback of an unexpected error.
        used_s: With the last answer, processor time of the decoder since its start [s].
    """

    is_filtered: bool = False
    n_samples: int = 0
    source: DecodedSource | None = None
    error: str = ""
    detail: str = ""
    failure: str = ""
    used_s: float = 0.0

    @property
    def is_last(self) -> bool:
        """True if the file is done and the decoder waits for another one."""
        return self.source is not None or bool(self.error or self.failure)


@dataclass(frozen=True, slots=True)
class Order:
    """Order to the server that forks decoders: start one, or end one.

    Attributes:
        cpu_s: Processor time that a new decoder may use [s].
        end: Process to end; with 0, one is started, whose channel, shared memory and standard error
            come with the message.
    """

    cpu_s: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Answer of the server: the process that was started, or how one has ended.

    Attributes:
        pid: The process that was started.
        status: Wait status of the process that has ended.
        failure: Why the order could not be carried out.
    """

    pid: int = 0
    status: int = 0
    failure: str = ""


def to_bytes(message: Task | Reply | Order | Report) -> bytes:
    """Encode a message."""
    fields = {name: getattr(message, name) for name in message.__slots__}
    return json.dumps(fields, default=asdict).encode()
