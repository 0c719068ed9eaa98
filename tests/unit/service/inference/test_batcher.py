from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
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
        encoder.released.set()
        batcher.close()


def submit(
    batcher: Batcher, samples: np.ndarray, deadline: Deadline | None = None
) -> EncodeRequest:
    return batcher.submit(samples, "embedding", deadline or Deadline())


def result(request: EncodeRequest) -> np.ndarray:
    (embedding,) = request.future.result(TIMEOUT_S)
    return embedding


def fill(batcher: Batcher) -> None:
    """Submit clips until one is refused."""
    while True:
        submit(batcher, clip(1))


def wait_blocked(batcher: Batcher, n: int) -> None:
    """Wait until `n` threads wait for room: one for the batcher, the others for their turn."""
    semaphore = batcher._submitting
    end = time.monotonic() + TIMEOUT_S
    while len(semaphore._waiting) + (semaphore._n_free == 0) < n:
        assert time.monotonic() < end
        time.sleep(0.001)


def occupied(batcher: Batcher, encoder: FakeEncoder) -> EncodeRequest:
    """Keep the encoder busy with a clip until it is released."""
    encoder.released.clear()
    request = submit(batcher, clip(20))
    encoder.wait_entered()
    return request


def encode_together(
    batcher: Batcher, encoder: FakeEncoder, clips: Iterable[np.ndarray]
) -> list[float]:
    """Submit clips during a run, and return the first value of each result."""
    occupied(batcher, encoder)
    requests = [submit(batcher, samples) for samples in clips]
    encoder.released.set()
    return [float(result(request)[0]) for request in requests]


def test_a_single_clip_is_encoded_at_once_with_all_threads() -> None:
    encoder = FakeEncoder()
    with batching(encoder, runs=2) as batcher:
        for value in (1, 2, 3):
            assert result(submit(batcher, clip(1, value))) == value

    assert encoder.runs == [([100], True)] * 3


def test_clips_that_are_submitted_during_a_run_share_the_next_one() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        found = encode_together(batcher, encoder, [clip(1, value) for value in range(5)])

    assert found == [0, 1, 2, 3, 4]
    assert [sizes for sizes, _ in encoder.runs] == [[2000], [100] * 5]


def test_a_run_has_clips_of_similar_length_within_its_limit() -> None:
    encoder = FakeEncoder()
    with batching(encoder, batch_s=10.0) as batcher:
        encode_together(batcher, encoder, map(clip, (5, 1, 5.2, 5, 1, 30, 5)))

    batches = [sizes for sizes, _ in encoder.runs[1:]]
    assert batches == [[500, 500], [100, 100], [520], [3000], [500]]


def test_short_clips_count_as_the_minimum_of_the_encoder() -> None:
    encoder = FakeEncoder()
    with batching(encoder, batch_s=1.9) as batcher:
        encode_together(batcher, encoder, [clip(0.01)] * 3)

    assert [sizes for sizes, _ in encoder.runs[1:]] == [[1, 1], [1]]


def test_partials_and_embeddings_do_not_share_a_run() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        occupied(batcher, encoder)
        whole = submit(batcher, clip(1, 7))
        chunk = batcher.submit(clip(1, 7), "partials", Deadline())
        encoder.released.set()

        assert len(whole.future.result(TIMEOUT_S)) == 1
        assert len(chunk.future.result(TIMEOUT_S)) == 2


def test_simultaneous_runs_share_the_threads() -> None:
    encoder = FakeEncoder()
    with batching(encoder, runs=2) as batcher:
        occupied(batcher, encoder)
        second = submit(batcher, clip(1, 2))
        encoder.wait_entered()
        encoder.released.set()

        assert result(second) == 2
    assert [all_threads for _, all_threads in encoder.runs] == [True, False]


def test_a_clip_that_is_no_longer_wanted_is_not_encoded() -> None:
    encoder = FakeEncoder()
    disconnected, late = Deadline(), Deadline()
    with batching(encoder) as batcher:
        occupied(batcher, encoder)
        abandoned = submit(batcher, clip(1), disconnected)
        expired = submit(batcher, clip(1), late)
        cancelled = submit(batcher, clip(1))
        wanted = submit(batcher, clip(1, 5))
        disconnected.abandon()
        late.begin(0)
        cancelled.future.cancel()
        encoder.released.set()

        assert result(wanted) == 5
        with pytest.raises(ClientDisconnectedError):
            result(abandoned)
        with pytest.raises(DeadlineError):
            result(expired)
        with pytest.raises(CancelledError):
            result(cancelled)
    assert [sizes for sizes, _ in encoder.runs] == [[2000], [100]]


def test_submitting_blocks_while_too_much_audio_waits() -> None:
    encoder = FakeEncoder()
    with batching(encoder, max_waiting_s=3.0) as batcher, ThreadPoolExecutor(1) as threads:
        occupied(batcher, encoder)
        for _ in range(3):
            submit(batcher, clip(1))
        waiting = threads.submit(submit, batcher, clip(1, 9))
        assert batcher.waiting_s == 3
        assert not waiting.done()
        encoder.released.set()

        assert result(waiting.result(TIMEOUT_S)) == 9


def test_waiting_for_room_ends_with_the_deadline() -> None:
    encoder = FakeEncoder()
    late = Deadline()
    late.begin(0)
    with batching(encoder, max_waiting_s=1.0) as batcher:
        occupied(batcher, encoder)
        submit(batcher, clip(1))
        with pytest.raises(DeadlineError):
            submit(batcher, clip(1), late)
        assert batcher.waiting_s == 1


def test_threads_that_wait_for_room_are_served_in_the_order_of_their_deadlines() -> None:
    encoder = FakeEncoder()
    with (
        batching(encoder, max_waiting_s=1.0, batch_s=1.0) as batcher,
        ThreadPoolExecutor(5) as threads,
    ):
        occupied(batcher, encoder)
        submit(batcher, clip(1))
        waiting = []
        for n, limit_s in enumerate([40, 50, 30, 60, 45]):
            deadline = Deadline()
            deadline.begin(limit_s)
            waiting.append(threads.submit(submit, batcher, clip(0.5 + n / 100), deadline))
            wait_blocked(batcher, n + 1)
        encoder.released.set()
        for request in waiting:
            result(request.result(TIMEOUT_S))

    # The first one was next already; the others follow by their deadlines.
    assert [sizes for sizes, _ in encoder.runs[2:]] == [[50], [52], [54], [51], [53]]


def test_closing_refuses_the_threads_that_wait_for_room() -> None:
    encoder = FakeEncoder()
    batcher = Batcher(encoder.as_encoder(), max_waiting_s=1.0)
    occupied(batcher, encoder)
    submit(batcher, clip(1))
    with ThreadPoolExecutor(2) as threads:
        waiting = []
        for n in range(2):
            waiting.append(threads.submit(submit, batcher, clip(1)))
            wait_blocked(batcher, n + 1)
        closing = threading.Thread(target=batcher.close)
        closing.start()
        for each in waiting:
            with pytest.raises(NotReadyError):
                each.result(TIMEOUT_S)
        encoder.released.set()
        closing.join(TIMEOUT_S)


def test_a_clip_longer_than_the_limit_is_accepted_if_nothing_waits() -> None:
    encoder = FakeEncoder()
    with batching(encoder, max_waiting_s=1.0) as batcher:
        assert result(submit(batcher, clip(5, 3))) == 3


def test_an_error_of_a_run_is_raised_for_its_clips_only() -> None:
    encoder = FakeEncoder()
    with batching(encoder) as batcher:
        encoder.error = RuntimeError("out of memory")
        failed = submit(batcher, clip(1))
        with pytest.raises(RuntimeError, match="out of memory"):
            result(failed)
        encoder.error = None

        assert result(submit(batcher, clip(1, 4))) == 4


def test_closing_finishes_the_run_and_refuses_the_clips_that_wait() -> None:
    encoder = FakeEncoder()
    batcher = Batcher(encoder.as_encoder())
    running = occupied(batcher, encoder)
    waiting = submit(batcher, clip(1))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    with pytest.raises(NotReadyError):
        fill(batcher)
    encoder.released.set()
    closing.join(TIMEOUT_S)

    assert result(running) == 0
    with pytest.raises(NotReadyError):
        result(waiting)


def test_each_run_is_reported() -> None:
    encoder = FakeEncoder()
    runs: list[Run] = []
    with batching(encoder, on_run=runs.append) as batcher:
        encode_together(batcher, encoder, [clip(1.5)] * 2)

    assert [(run.n_clips, run.audio_s) for run in runs] == [(1, 20), (2, 3)]
    assert all(waited_s >= 0 for run in runs for waited_s in run.waited_s)


def test_an_error_of_the_report_is_logged_and_the_next_clips_are_encoded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(run: Run) -> None:
        raise RuntimeError("no metric of this name")

    encoder = FakeEncoder()
    with batching(encoder, on_run=fail) as batcher:
        for value in (1, 2, 3):
            assert result(submit(batcher, clip(1, value))) == value

    assert caplog.text.count("could not be reported") == 3


def test_each_of_many_threads_gets_its_own_embedding(tiny_bundle_path: Path) -> None:
    encoder = Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=2, runs=2)
    clips = [synth.noise(n, 0.2 + 0.05 * (n % 7)) for n in range(60)]
    expected = [encoder.embed([samples])[0] for samples in clips]
    batcher = Batcher(encoder, runs=2)
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda samples: result(submit(batcher, samples)), clips))
    batcher.close()

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_a_synchronous_batcher_encodes_in_the_thread_that_submits() -> None:
    batcher = SynchronousBatcher(FakeEncoder().as_encoder())

    request = batcher.submit(clip(1, 6), "embedding", Deadline())

    assert request.future.done()
    assert result(request) == 6
