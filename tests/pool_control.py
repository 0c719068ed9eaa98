"""Decoding by a pool of processes, and what comes of it, for tests."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import synth

from service.audio.decoder import DecodedSource, Decoder
from service.audio.decoder_pool import DecoderPool
from service.audio.decoding import AudioLimits
from service.audio.errors import (
    AudioError,
)
from service.concurrency.deadline import Deadline

LIMITS = AudioLimits(max_seconds=60, max_samples=1_000_000)
WAV = synth.encode(synth.noise(1, 0.5), subtype="PCM_16")
WAIT_S = 20


class Deaths:
    """Counts the decoders that ended while they decoded."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def run(
    decoder: Decoder,
    source: BinaryIO | bytes,
    deadline: Deadline | None = None,
    limits: AudioLimits = LIMITS,
) -> tuple[list[np.ndarray], DecodedSource]:
    """Decode a file; return its blocks and its source."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    blocks = decoder(file, sample_rate=16_000, limits=limits, deadline=deadline or Deadline())
    found: list[np.ndarray] = []
    while True:
        try:
            found.append(next(blocks))
        except StopIteration as end:
            return found, end.value


def outcome(decoder: Decoder, data: bytes, limits: AudioLimits = LIMITS) -> Any:
    """Return all that decoding a file gives: bits of each block and the source, or the error."""
    try:
        blocks, source = run(decoder, data, limits=limits)
    except AudioError as error:
        return type(error), error.detail
    return [block.tobytes() for block in blocks], source


def idle(pool: DecoderPool) -> list[int]:
    """Return the process ids of the decoders that are kept, the next one last."""
    return [child._pid for child in pool._idle]


def wait_for_state(pid: int, state: str) -> None:
    end = time.monotonic() + WAIT_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != state:
        assert time.monotonic() < end
        time.sleep(0.005)


class Stopped:
    """A decode that cannot go on, since its process is stopped; continued on leaving."""

    def __init__(
        self, pool: DecoderPool, deadline: Deadline | None = None, *, warm: bool = True
    ) -> None:
        if warm:  # at least one decoder is kept
            run(pool, WAV)
        child = pool._idle[-1]
        self.pid = child._pid
        os.kill(self.pid, signal.SIGSTOP)
        wait_for_state(self.pid, "T")
        self.result: Any = None
        is_given, give = threading.Event(), child.give

        def give_and_tell(*options: Any) -> bool:
            was_given = give(*options)
            is_given.set()
            return was_given

        child.give = give_and_tell  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._run, args=(pool, deadline))
        self._thread.start()
        assert is_given.wait(WAIT_S)

    def _run(self, pool: DecoderPool, deadline: Deadline | None) -> None:
        try:
            self.result = run(pool, WAV, deadline)
        except Exception as error:
            self.result = error

    def wait(self) -> Any:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return self.result
