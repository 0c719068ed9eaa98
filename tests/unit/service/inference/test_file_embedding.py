from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_encoder import TIMEOUT_S, FakeEncoder

from service.audio.levels import InputReading
from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo
from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.concurrency.timings import RequestTimings
from service.errors import DeadlineError
from service.inference.batcher import Batcher, EncodeRequest, SynchronousBatcher
from service.inference.chunking import Chunk, Chunker, DecodedFile, Output
from service.inference.file_embedding import (
    ENTRY_BYTES,
    FileEmbedding,
    PendingChunks,
)
from service.inference.pooling import Windowing

WAV = AudioInfo(media_type="audio/wav")
READING = InputReading(16_000, 1.0, -20.0, 0.0, 0.0)


def split(info: EncoderInfo, n_samples: int) -> list[Chunk]:
    return list(Chunker(info).split([np.zeros(n_samples, np.float32)]))


def decoded(
    n_samples: int = 16_000, info: AudioInfo = WAV, samples_digest: bytes = b"digest"
) -> DecodedFile:
    return DecodedFile(info, READING, n_samples, samples_digest, 0.25)


def embedded_as(info: EncoderInfo, value: float) -> FileEmbedding:
    """Make the embedding of a short file whose values are all `value`."""
    embedding = FileEmbedding(info)
    (chunk,) = split(info, 16_000)
    embedding.set_result(chunk, (np.full(8, value, np.float32),))
    return embedding


class TestFileEmbedding:
    def test_a_short_file_has_the_embedding_of_its_chunk(self, info: EncoderInfo) -> None:
        embedded = embedded_as(info, 3).pool(decoded())

        assert embedded.embedding.tolist() == [3] * 8
        assert (embedded.n_samples, embedded.samples_digest) == (16_000, b"digest")
        assert (embedded.mean_square, embedded.info) == (0.25, WAV)
        assert embedded.size_bytes == ENTRY_BYTES + 32

    def test_an_embedding_does_not_keep_its_batch_in_memory(self, info: EncoderInfo) -> None:
        embedding = FileEmbedding(info)
        (chunk,) = split(info, 16_000)
        embedding.set_result(chunk, (np.zeros((100, 8), np.float32)[7],))

        assert embedding.pool(decoded()).embedding.base is None

    def test_windows_are_pooled_from_the_same_partials(self, info: EncoderInfo) -> None:
        embedding = FileEmbedding(info, Windowing(0.4, 0.4), max_windows=10)
        (chunk,) = split(info, 16_000)
        assert embedding.output(chunk) == "partials"
        embedding.set_result(chunk, (np.ones((5, 8), np.float32),) * 2)

        embedded = embedding.pool(decoded())

        assert embedded.windows is not None
        assert embedded.windows.embeddings.shape == (3, 8)
        assert embedded.size_bytes == ENTRY_BYTES + 4 * 32


class HeldBatcher:
    """Keeps the clips that are submitted until `finish` is called."""

    def __init__(self) -> None:
        self.requests: list[EncodeRequest] = []

    def submit(self, samples: np.ndarray, output: Output, deadline: Deadline) -> EncodeRequest:
        self.requests.append(EncodeRequest(samples, output, deadline, samples.size))
        return self.requests[-1]

    def finish(self, n: int) -> None:
        self.requests[n].future.set_result((self.requests[n].samples[:1],))


class Receiver(FileEmbedding):
    """Records the results that it receives."""

    def __init__(self, info: EncoderInfo) -> None:
        super().__init__(info)
        self.values: list[float] = []

    def set_result(self, chunk: Chunk, result: tuple[np.ndarray, ...]) -> None:
        self.values.append(float(result[0][0]))


@pytest.fixture
def receiver(info: EncoderInfo) -> Receiver:
    return Receiver(info)


def chunk_of(n_samples: int, value: float = 0) -> Chunk:
    samples = np.full(n_samples, value, np.float32)
    return Chunk(samples, slice(None), n_samples, is_whole=True)


class TestPendingChunks:
    def test_results_arrive_in_the_order_of_the_chunks(self, receiver: Receiver) -> None:
        batcher = HeldBatcher()
        with PendingChunks(batcher, RequestTimings(), 1000) as pending:
            for value in range(3):
                pending.submit(chunk_of(10, value), receiver)
            for n in (2, 0, 1):
                batcher.finish(n)
            pending.drain()

        assert receiver.values == [0, 1, 2]

    def test_their_number_is_bounded_but_two_may_be_pending_in_any_case(
        self, receiver: Receiver
    ) -> None:
        batcher = HeldBatcher()
        with PendingChunks(batcher, RequestTimings(), 25) as pending, ThreadPoolExecutor(1) as pool:
            for _ in range(2):
                pending.submit(chunk_of(20), receiver)
            third = pool.submit(pending.submit, chunk_of(20), receiver)
            assert not third.done()
            batcher.finish(0)
            third.result(TIMEOUT_S)
            for n in (1, 2):
                batcher.finish(n)
            pending.drain()

        assert len(batcher.requests) == 3

    def test_an_error_cancels_what_is_pending(self, receiver: Receiver) -> None:
        batcher = HeldBatcher()

        def fail() -> None:
            with PendingChunks(batcher, RequestTimings(), 100) as pending:
                pending.submit(chunk_of(1), receiver)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert batcher.requests[0].future.cancelled()

    def test_waiting_ends_with_the_deadline_and_cancels_the_chunk(self, receiver: Receiver) -> None:
        batcher, timings = HeldBatcher(), RequestTimings()
        with PendingChunks(batcher, timings, 100) as pending:
            pending.submit(chunk_of(1), receiver)
            timings.deadline.begin(0)
            with pytest.raises(DeadlineError):
                pending.drain()
            timings.deadline.abandon()
            pending.submit(chunk_of(1), receiver)
            with pytest.raises(ClientDisconnectedError):
                pending.drain()

        assert all(request.future.cancelled() for request in batcher.requests)

    def test_waiting_and_encoding_are_measured_separately(self, receiver: Receiver) -> None:
        encoder, timings = FakeEncoder(), RequestTimings()
        encoder.released.clear()
        batcher = Batcher(encoder.as_encoder())
        with PendingChunks(batcher, timings, 1000) as pending:
            pending.submit(chunk_of(100), receiver)
            encoder.wait_entered()
            encoder.released.set()
            pending.drain()
        batcher.close()

        assert set(timings.seconds) == {"queue", "encode"}

    def test_synchronous_encoding_is_no_waiting(self, receiver: Receiver) -> None:
        timings = RequestTimings()
        batcher = SynchronousBatcher(FakeEncoder().as_encoder())
        with PendingChunks(batcher, timings, 1000) as pending:
            pending.submit(chunk_of(100), receiver)
            pending.drain()

        assert timings.seconds["queue"] == 0
        assert timings.seconds["encode"] > 0
