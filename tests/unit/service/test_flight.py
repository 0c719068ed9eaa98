from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_encoder import TIMEOUT_S, FakeEncoder

from service.batching import AtOnce, Batcher, Job, Result
from service.encoder import Kind
from service.errors import DeadlineError
from service.flight import Flight
from service.patience import AbandonedError, Patience
from service.timing import Phases


class Held:
    """Keeps what it is given until it is told to answer."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, samples: np.ndarray, kind: Kind, patience: Patience) -> Job:
        self.jobs.append(Job(samples, kind, patience, samples.size))
        return self.jobs[-1]

    def answer(self, n: int) -> None:
        self.jobs[n].future.set_result((self.jobs[n].samples[:1],))


def piece(n_samples: int, value: float = 0) -> np.ndarray:
    return np.full(n_samples, value, np.float32)


def test_results_are_given_in_the_order_of_their_pieces() -> None:
    runs, found = Held(), list[float]()

    def take(result: Result) -> None:
        found.append(float(result[0][0]))

    with Flight(runs, Phases(), 1000) as flight:
        for value in range(3):
            flight.send(piece(10, value), "embedding", take)
        for n in (2, 0, 1):
            runs.answer(n)
        flight.land()

    assert found == [0, 1, 2]


def test_no_more_is_on_its_way_than_allowed_but_two_pieces_in_any_case() -> None:
    runs = Held()
    with Flight(runs, Phases(), 25) as flight, ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            flight.send(piece(20), "embedding", lambda _: None)
        third = threads.submit(flight.send, piece(20), "embedding", lambda _: None)
        assert not third.done()
        runs.answer(0)
        third.result(TIMEOUT_S)
        for n in (1, 2):
            runs.answer(n)
        flight.land()

    assert len(runs.jobs) == 3


def test_what_is_left_behind_is_cancelled() -> None:
    runs = Held()

    def fail() -> None:
        with Flight(runs, Phases(), 100) as flight:
            flight.send(piece(1), "embedding", lambda _: None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert runs.jobs[0].future.cancelled()


def test_waiting_ends_with_the_patience_and_the_piece_is_cancelled() -> None:
    runs, phases = Held(), Phases()
    with Flight(runs, phases, 100) as flight:
        flight.send(piece(1), "embedding", lambda _: None)
        phases.patience.begin(0)
        with pytest.raises(DeadlineError):
            flight.land()
        phases.patience.abandon()
        flight.send(piece(1), "embedding", lambda _: None)
        with pytest.raises(AbandonedError):
            flight.land()

    assert all(job.future.cancelled() for job in runs.jobs)


def test_waiting_and_encoding_are_told_apart() -> None:
    encoder, phases = FakeEncoder(), Phases()
    encoder.held.clear()
    batcher = Batcher(encoder.as_encoder())
    with Flight(batcher, phases, 1000) as flight:
        flight.send(piece(100), "embedding", lambda _: None)
        encoder.wait_entered()
        encoder.held.set()
        flight.land()
    batcher.close()

    assert set(phases.seconds) == {"queue", "encode"}


def test_encoding_at_once_is_no_waiting() -> None:
    phases = Phases()
    with Flight(AtOnce(FakeEncoder().as_encoder()), phases, 1000) as flight:
        flight.send(piece(100), "embedding", lambda _: None)
        assert list(phases.seconds) == ["encode"]
        flight.land()
