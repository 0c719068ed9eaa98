from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_encoder import TIMEOUT_S, FakeEncoder

from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.concurrency.timings import RequestTimings
from service.errors import DeadlineError
from service.inference.batcher import Batcher, EncodeRequest, Result, SynchronousBatcher
from service.inference.encoder import Kind
from service.inference.pending_chunks import PendingChunks


class Held:
    """Keeps what it is given until it is told to answer."""

    def __init__(self) -> None:
        self.jobs: list[EncodeRequest] = []

    def submit(self, samples: np.ndarray, kind: Kind, deadline: Deadline) -> EncodeRequest:
        self.jobs.append(EncodeRequest(samples, kind, deadline, samples.size))
        return self.jobs[-1]

    def answer(self, n: int) -> None:
        self.jobs[n].future.set_result((self.jobs[n].samples[:1],))


def piece(n_samples: int, value: float = 0) -> np.ndarray:
    return np.full(n_samples, value, np.float32)


def test_results_are_given_in_the_order_of_their_pieces() -> None:
    runs, found = Held(), list[float]()

    def take(result: Result) -> None:
        found.append(float(result[0][0]))

    with PendingChunks(runs, RequestTimings(), 1000) as pending:
        for value in range(3):
            pending.send(piece(10, value), "embedding", take)
        for n in (2, 0, 1):
            runs.answer(n)
        pending.drain()

    assert found == [0, 1, 2]


def test_no_more_is_on_its_way_than_allowed_but_two_pieces_in_any_case() -> None:
    runs = Held()
    with PendingChunks(runs, RequestTimings(), 25) as pending, ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            pending.send(piece(20), "embedding", lambda _: None)
        third = threads.submit(pending.send, piece(20), "embedding", lambda _: None)
        assert not third.done()
        runs.answer(0)
        third.result(TIMEOUT_S)
        for n in (1, 2):
            runs.answer(n)
        pending.drain()

    assert len(runs.jobs) == 3


def test_what_is_left_behind_is_cancelled() -> None:
    runs = Held()

    def fail() -> None:
        with PendingChunks(runs, RequestTimings(), 100) as pending:
            pending.send(piece(1), "embedding", lambda _: None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert runs.jobs[0].future.cancelled()


def test_waiting_ends_with_the_patience_and_the_piece_is_cancelled() -> None:
    runs, timings = Held(), RequestTimings()
    with PendingChunks(runs, timings, 100) as pending:
        pending.send(piece(1), "embedding", lambda _: None)
        timings.deadline.begin(0)
        with pytest.raises(DeadlineError):
            pending.drain()
        timings.deadline.abandon()
        pending.send(piece(1), "embedding", lambda _: None)
        with pytest.raises(ClientDisconnectedError):
            pending.drain()

    assert all(job.future.cancelled() for job in runs.jobs)


def test_waiting_and_encoding_are_told_apart() -> None:
    encoder, timings = FakeEncoder(), RequestTimings()
    encoder.held.clear()
    batcher = Batcher(encoder.as_encoder())
    with PendingChunks(batcher, timings, 1000) as pending:
        pending.send(piece(100), "embedding", lambda _: None)
        encoder.wait_entered()
        encoder.held.set()
        pending.drain()
    batcher.close()

    assert set(timings.seconds) == {"queue", "encode"}


def test_encoding_at_once_is_no_waiting() -> None:
    timings = RequestTimings()
    with PendingChunks(SynchronousBatcher(FakeEncoder().as_encoder()), timings, 1000) as pending:
        pending.send(piece(100), "embedding", lambda _: None)
        assert list(timings.seconds) == ["encode"]
        pending.drain()
