from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
from fake_encoder import TIMEOUT_S, FakeEncoder

from service.bundle.files import load_bundle
from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.errors import DeadlineError, NotReadyError
from service.inference.batcher import Batcher, EncodeRequest, Run, SynchronousBatcher
from service.inference.encoder import Encoder

RATE = 100


def clip(seconds: float, value: float = 0.0) -> np.ndarray:
    return np.full(round(seconds * RATE), value, np.float32)


@contextmanager
def batching(encoder: FakeEncoder, **options: Any) -> Iterator[Batcher]:
    batcher = Batcher(encoder.as_encoder(), **options)
    try:
        yield batcher
    finally:
        encoder.held.set()
        batcher.close()


def submit(
    batcher: Batcher, samples: np.ndarray, deadline: Deadline | None = None
) -> EncodeRequest:
    return batcher.submit(samples, "embedding", deadline or Deadline())


def result(job: EncodeRequest) -> np.ndarray:
    (embedding,) = job.future.result(TIMEOUT_S)
    return embedding


def fill(batcher: Batcher) -> None:
    """Submit until it is refused."""
    while True:
        submit(batcher, clip(1))


def in_line(batcher: Batcher, n: int) -> None:
    """Wait until so many wait for room: one at the door and the others behind it."""
    end = time.monotonic() + TIMEOUT_S
    while len(batcher._door._waiting) + (batcher._door._n_free == 0) < n:
        assert time.monotonic() < end
        time.sleep(0.001)


def occupied(batcher: Batcher, encoder: FakeEncoder) -> EncodeRequest:
    """Let the encoder be busy with a clip until it is released."""
    encoder.held.clear()
    job = submit(batcher, clip(20))
    encoder.wait_entered()
    return job


def test_a_lone_clip_is_encoded_at_once_with_all_threads() -> None:
    encoder = FakeEncoder()
    with batching(encoder, runs=2) as batcher:
        for value in (1, 2, 3):
            assert result(submit(batcher, clip(1, value))) == value

    assert encoder.runs == [([100], True)] * 3


def test_what_comes_while_the_encoder_works_shares_the_next_run() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        first = occupied(batcher, encoder)
        jobs = [submit(batcher, clip(1, value)) for value in range(5)]
        encoder.held.set()

        assert [float(result(job)[0]) for job in jobs] == [0, 1, 2, 3, 4]
        assert result(first) == 0
    assert [sizes for sizes, _ in encoder.runs] == [[2000], [100] * 5]


def test_a_run_stays_within_its_budget_and_takes_clips_of_nearly_one_length() -> None:
    encoder = FakeEncoder()
    with batching(encoder, batch_s=10.0) as batcher:
        occupied(batcher, encoder)
        jobs = [submit(batcher, clip(seconds)) for seconds in (5, 1, 5.2, 5, 1, 30, 5)]
        encoder.held.set()
        for job in jobs:
            result(job)

    gathered = [sizes for sizes, _ in encoder.runs[1:]]
    assert gathered == [[500, 500], [100, 100], [520], [3000], [500]]


def test_short_clips_count_as_what_the_graph_makes_of_them() -> None:
    encoder = FakeEncoder()
    with batching(encoder, batch_s=1.9) as batcher:
        occupied(batcher, encoder)
        jobs = [submit(batcher, clip(0.01)) for _ in range(3)]
        encoder.held.set()
        for job in jobs:
            result(job)

    assert [sizes for sizes, _ in encoder.runs[1:]] == [[1, 1], [1]]


def test_partials_and_embeddings_do_not_share_a_run() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        occupied(batcher, encoder)
        whole = submit(batcher, clip(1, 7))
        piece = batcher.submit(clip(1, 7), "partials", Deadline())
        encoder.held.set()

        assert len(whole.future.result(TIMEOUT_S)) == 1
        assert len(piece.future.result(TIMEOUT_S)) == 2


def test_several_runs_go_on_at_once_and_none_of_them_has_all_threads() -> None:
    encoder = FakeEncoder()
    with batching(encoder, runs=2) as batcher:
        occupied(batcher, encoder)
        second = submit(batcher, clip(1, 2))
        encoder.wait_entered()
        encoder.held.set()

        assert result(second) == 2
    assert [alone for _, alone in encoder.runs] == [True, False]


def test_what_nobody_waits_for_is_not_encoded() -> None:
    encoder = FakeEncoder()
    gone, late, kept = Deadline(), Deadline(), Deadline()
    with batching(encoder) as batcher:
        occupied(batcher, encoder)
        left = submit(batcher, clip(1), gone)
        missed = submit(batcher, clip(1), late)
        cancelled = submit(batcher, clip(1))
        wanted = submit(batcher, clip(1, 5), kept)
        gone.abandon()
        late.begin(0)
        cancelled.future.cancel()
        encoder.held.set()

        assert result(wanted) == 5
        with pytest.raises(ClientDisconnectedError):
            result(left)
        with pytest.raises(DeadlineError):
            result(missed)
        with pytest.raises(CancelledError):
            result(cancelled)
    assert [sizes for sizes, _ in encoder.runs] == [[2000], [100]]


def test_who_brings_too_much_waits_for_room() -> None:
    encoder = FakeEncoder()
    with batching(encoder, waiting_s=3.0) as batcher, ThreadPoolExecutor(1) as threads:
        occupied(batcher, encoder)
        for _ in range(3):
            submit(batcher, clip(1))
        waiting = threads.submit(submit, batcher, clip(1, 9))
        assert batcher.waiting_s == 3
        assert not waiting.done()
        encoder.held.set()

        assert result(waiting.result(TIMEOUT_S)) == 9


def test_waiting_for_room_ends_with_the_patience() -> None:
    encoder = FakeEncoder()
    late = Deadline()
    late.begin(0)
    with batching(encoder, waiting_s=1.0) as batcher:
        occupied(batcher, encoder)
        submit(batcher, clip(1))
        with pytest.raises(DeadlineError):
            submit(batcher, clip(1), late)
        assert batcher.waiting_s == 1


def test_the_earliest_deadline_is_let_in_first_when_there_is_room_again() -> None:
    encoder = FakeEncoder()
    with batching(encoder, waiting_s=1.0, batch_s=1.0) as batcher, ThreadPoolExecutor(5) as threads:
        occupied(batcher, encoder)
        submit(batcher, clip(1))
        waiting = []
        for n, limit_s in enumerate([40, 50, 30, 60, 45]):
            deadline = Deadline()
            deadline.begin(limit_s)
            waiting.append(threads.submit(submit, batcher, clip(0.5 + n / 100), deadline))
            in_line(batcher, n + 1)
        encoder.held.set()
        for job in waiting:
            result(job.result(TIMEOUT_S))

    # The first one stands at the door already; behind it the others wait by their deadlines.
    assert [sizes for sizes, _ in encoder.runs[2:]] == [[50], [52], [54], [51], [53]]


def test_closing_refuses_those_who_wait_for_room() -> None:
    encoder = FakeEncoder()
    batcher = Batcher(encoder.as_encoder(), waiting_s=1.0)
    occupied(batcher, encoder)
    submit(batcher, clip(1))
    with ThreadPoolExecutor(2) as threads:
        waiting = []
        for n in range(2):
            waiting.append(threads.submit(submit, batcher, clip(1)))
            in_line(batcher, n + 1)
        closing = threading.Thread(target=batcher.close)
        closing.start()
        for each in waiting:
            with pytest.raises(NotReadyError):
                each.result(TIMEOUT_S)
        encoder.held.set()
        closing.join(TIMEOUT_S)


def test_a_clip_larger_than_all_room_is_taken_when_nothing_waits() -> None:
    encoder = FakeEncoder()
    with batching(encoder, waiting_s=1.0) as batcher:
        assert result(submit(batcher, clip(5, 3))) == 3


def test_a_failed_run_fails_those_in_it_and_nobody_else() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        encoder.error = RuntimeError("out of memory")
        failed = submit(batcher, clip(1))
        with pytest.raises(RuntimeError, match="out of memory"):
            result(failed)
        encoder.error = None

        assert result(submit(batcher, clip(1, 4))) == 4


def test_closing_ends_what_runs_and_refuses_what_waits() -> None:
    encoder = FakeEncoder()
    batcher = Batcher(encoder.as_encoder())
    running = occupied(batcher, encoder)
    waiting = submit(batcher, clip(1))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    with pytest.raises(NotReadyError):
        fill(batcher)
    encoder.held.set()
    closing.join(TIMEOUT_S)

    assert result(running) == 0
    with pytest.raises(NotReadyError):
        result(waiting)


def test_each_run_is_told_of() -> None:
    encoder = FakeEncoder()
    told: list[Run] = []
    with batching(encoder, on_run=told.append) as batcher:
        occupied(batcher, encoder)
        jobs = [submit(batcher, clip(1.5)) for _ in range(2)]
        encoder.held.set()
        for job in jobs:
            result(job)

    assert [(run.n_clips, run.audio_s) for run in told] == [(1, 20), (2, 3)]
    assert all(waited_s >= 0 for run in told for waited_s in run.waited_s)


def test_many_threads_get_each_their_own_embedding(tiny_bundle_path: Path) -> None:
    encoder = Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=2, runs=2)
    clips = [synth.noise(n, 0.2 + 0.05 * (n % 7)) for n in range(60)]
    expected = [encoder.embed([samples])[0] for samples in clips]
    batcher = Batcher(encoder, runs=2)
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda samples: result(submit(batcher, samples)), clips))
    batcher.close()

    for mine, alone in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, alone, rtol=0, atol=1e-5 * np.abs(alone).max())


def test_without_a_batcher_a_clip_is_encoded_in_the_thread_that_brings_it() -> None:
    encoder = FakeEncoder()

    job = SynchronousBatcher(encoder.as_encoder()).submit(clip(1, 6), "embedding", Deadline())

    assert job.future.done()
    assert result(job) == 6
