"""What a decoder may send that was taken over by the file that it decodes."""

from __future__ import annotations

import io
import json
import mmap
import os
import socket
from collections.abc import Iterator, Sequence
from threading import Thread
from typing import Any

import numpy as np
import pytest

from service.audio import decoder_pool
from service.audio.decoder_pool import DecoderPool
from service.audio.decoder_protocol import REGION_BYTES, Reply, to_bytes
from service.audio.decoding import AudioLimits
from service.audio.errors import (
    AudioUndecodableError,
)
from service.concurrency.deadline import Deadline
from service.errors import (
    InternalError,
)

LIMITS = AudioLimits(60, 10_000)
SOURCE = {
    "media_type": "audio/wav",
    "sample_rate_hz": 16_000,
    "channels": 1,
    "duration_s": 1.0,
    "reading": {
        "sample_rate_hz": 16_000,
        "duration_s": 1.0,
        "level_dbfs": -3.0,
        "clipped_share": 0.0,
        "silent_share": 0.0,
    },
}


class FakeServer:
    """A server whose decoders answer every message with the next of some replies."""

    def __init__(self) -> None:
        self.replies: Sequence[bytes] = ()
        self.samples = np.zeros(0, np.float32)
        self.ended: list[int] = []
        self._threads: list[Thread] = []

    def fork(self, descriptors: Sequence[int], cpu_s: int) -> int:
        channel = socket.socket(fileno=os.dup(descriptors[0]))
        region = mmap.mmap(descriptors[1], REGION_BYTES)
        self._threads.append(Thread(target=self._answer, args=(channel, region)))
        self._threads[-1].start()
        return len(self._threads)

    def _answer(self, channel: socket.socket, region: mmap.mmap) -> None:
        with channel, region:
            channel.send(to_bytes(Reply(is_filtered=True)))
            for reply in self.replies:
                if not channel.recv(10_000):
                    return
                if not reply:
                    return  # it ends
                region[: self.samples.nbytes] = self.samples.tobytes()
                channel.send(reply)

    def end(self, pid: int) -> int:
        self.ended.append(pid)
        return 9

    def close(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def deaths() -> list[int]:
    return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer()
    monkeypatch.setattr(decoder_pool, "ForkServer", lambda: server)
    return server


@pytest.fixture
def pool(server: FakeServer, deaths: list[int]) -> Iterator[DecoderPool]:
    pool = DecoderPool(1, deadline_s=60, on_death=lambda: deaths.append(1))
    yield pool
    pool.close()


def blocks(pool: DecoderPool) -> list[np.ndarray]:
    return list(pool(io.BytesIO(b"RIFF"), sample_rate=16_000, limits=LIMITS, deadline=Deadline()))


def encode(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense",
        b"[1]",
        b"\x80\x04\x95\x0c\x00\x00\x00",  # the start of a pickle
        encode(n_samples="many"),
        encode(n_samples=-1),
        encode(n_samples=REGION_BYTES),
        encode(n_samples=2**80),
        encode(n_samples=1, source={"media_type": 1}),
        encode(n_samples=1, source={**SOURCE, "channels": "x"}),
        encode(error=[1]),
    ],
)
def test_what_is_no_reply_ends_the_decoder_and_refuses_the_file(
    pool: DecoderPool, server: FakeServer, deaths: list[int], reply: bytes
) -> None:
    server.replies = [reply]
    with pytest.raises(AudioUndecodableError, match="SIGKILL"):
        blocks(pool)
    assert server.ended == [1]
    assert deaths == [1]


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_finite_do_not_reach_the_encoder(
    pool: DecoderPool, server: FakeServer, sample: float
) -> None:
    server.samples = np.array([0, sample, 0], np.float32)
    server.replies = [encode(n_samples=3, source=SOURCE)]
    with pytest.raises(AudioUndecodableError):
        blocks(pool)


def test_samples_without_end_are_cut_off(pool: DecoderPool, server: FakeServer) -> None:
    server.replies = [encode(n_samples=1000)] * 100
    with pytest.raises(AudioUndecodableError):
        blocks(pool)


def test_an_unknown_error_refuses_the_file(pool: DecoderPool, server: FakeServer) -> None:
    server.replies = [encode(error="unauthorized", detail="made up")]
    with pytest.raises(AudioUndecodableError, match="made up"):
        blocks(pool)


def test_an_unexpected_error_is_internal_and_no_fault_of_the_file(
    pool: DecoderPool, server: FakeServer, deaths: list[int]
) -> None:
    server.replies = [encode(failure="Traceback: a bug")]
    with pytest.raises(InternalError, match="a bug"):
        blocks(pool)
    assert deaths == []


def test_a_right_reply_is_taken(pool: DecoderPool, server: FakeServer) -> None:
    server.samples = np.array([0.5, -0.5], np.float32)
    server.replies = [encode(n_samples=2, source=SOURCE, used_s=0.1)]
    (block,) = blocks(pool)
    assert block.tolist() == [0.5, -0.5]
    assert len(pool._idle) == 1


def test_a_decoder_that_has_computed_long_is_replaced(
    pool: DecoderPool, server: FakeServer
) -> None:
    server.samples = np.zeros(2, np.float32)
    server.replies = [encode(n_samples=2, source=SOURCE, used_s=31.0)]
    blocks(pool)
    assert server.ended == [1]
    assert not pool._idle
