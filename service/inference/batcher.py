"""Batches the clips of several threads into runs of the encoder.

There is no timer. A clip that is submitted while no run is in progress is encoded at once, with all
threads. Clips that are submitted during a run wait; the next run takes the oldest one and others of
similar length, up to a limit in seconds of audio. Clips that are no longer wanted are discarded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from service.concurrency.deadline import Deadline
from service.concurrency.deadline_semaphore import DeadlineSemaphore
from service.errors import NotReadyError
from service.inference.chunking import Output, Result
from service.inference.encoder import Encoder

BATCH_S = 10.0
"""Audio of one run, padding included [s]."""
MAX_WAITING_S = 300.0
"""Decoded audio that may wait for the encoder; submitting more blocks [s]."""
MAX_PADDING = 0.1
"""Largest difference of a clip's length from that of the oldest clip of its run, relative to it."""

_logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class EncodeRequest:
    """A clip that is to be encoded.

    Attributes:
        samples: Mono waveform [samples], float32.
        output: What to compute.
        deadline: When the result is no longer wanted.
        cost: Length that counts in a run [samples]; the encoder has a minimum.
        future: Receives the result.
        submitted: Time of submission, by `time.perf_counter` [s].
        started: Time when the run started, by `time.perf_counter` [s].
    """

    samples: np.ndarray
    output: Output
    deadline: Deadline
    cost: int
    future: Future[Result] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of one run of the encoder.

    Attributes:
        n_clips: Clips in the run.
        audio_s: Audio of the clips, without padding [s].
        waited_s: Time that each clip waited [s].
        took_s: Duration of the run [s].
    """

    n_clips: int
    audio_s: float
    waited_s: list[float]
    took_s: float


class Submitter(Protocol):
    """Encodes clips: a `Batcher` or a `SynchronousBatcher`."""

    def submit(
        self, samples: Float32[np.ndarray, " samples"], output: Output, deadline: Deadline
    ) -> EncodeRequest:
        """Submit a clip; see `Batcher.submit`."""
        ...


class SynchronousBatcher:
    """Encodes each clip at once, in the thread that submits it.

    Args:
        encoder: Encodes the clips.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def submit(
        self, samples: Float32[np.ndarray, " samples"], output: Output, deadline: Deadline
    ) -> EncodeRequest:
        """Encode a clip."""
        request = EncodeRequest(samples, output, deadline, samples.size)
        request.started = request.submitted
        request.future.set_result(self._encoder.run([samples], output)[0])
        return request


class Batcher:
    """Encodes the clips of several threads, in threads of its own.

    Args:
        encoder: Encodes the clips.
        runs: Runs at once.
        batch_s: Audio of one run, padding included [s]; a longer clip has its own run.
        max_waiting_s: Audio that may wait [s]; one clip may wait in any case.
        on_run: Called after each run.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        runs: int = 1,
        batch_s: float = BATCH_S,
        max_waiting_s: float = MAX_WAITING_S,
        on_run: Callable[[Run], object] = lambda _: None,
    ) -> None:
        self._encoder = encoder
        self._max_batch_samples = int(batch_s * encoder.sample_rate)
        self._max_waiting_samples = int(max_waiting_s * encoder.sample_rate)
        self._on_run = on_run
        self._submitting = DeadlineSemaphore(1)
        self._changed = threading.Condition()
        self._waiting: deque[EncodeRequest] = deque()
        self._n_waiting_samples = 0
        self._n_blocked = 0  # threads that wait for room
        self._n_running = 0
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"encode-{n}", daemon=True)
            for n in range(runs)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, samples: Float32[np.ndarray, " samples"], output: Output, deadline: Deadline
    ) -> EncodeRequest:
        """Submit a clip; wait while too much audio waits, the earliest deadline first.

        Args:
            samples: Mono waveform at the rate of the encoder, of at least one sample.
            output: What to compute.
            deadline: When the result is no longer wanted.

        Raises:
            ClientDisconnectedError: The client left before there was room.
            DeadlineError: The deadline passed before there was room.
            NotReadyError: The batcher is closed.
        """
        cost = max(samples.size, self._encoder.info.floor_samples)
        request = EncodeRequest(samples, output, deadline, cost)
        with self._changed:
            if not self._n_blocked and not self._is_full(cost):
                self._append(request)
                return request
            self._n_blocked += 1
        try:
            self._append_in_turn(request)
        finally:
            with self._changed:
                self._n_blocked -= 1
        return request

    def close(self) -> None:
        """Finish the runs in progress and refuse the clips that wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        while self._waiting:
            request = self._waiting.popleft()
            if request.future.set_running_or_notify_cancel():
                request.future.set_exception(NotReadyError("the service is stopping"))

    @property
    def is_working(self) -> bool:
        """True while all threads that encode are alive."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def waiting_s(self) -> float:
        """Audio that waits for the encoder [s]."""
        return self._n_waiting_samples / self._encoder.sample_rate

    def _append_in_turn(self, request: EncodeRequest) -> None:
        """Wait for room, after the threads with earlier deadlines, and append a request."""
        self._submitting.acquire(request.deadline)
        try:
            with self._changed:
                while self._is_full(request.cost) and not self._is_closed:
                    self._changed.wait(request.deadline.left_s)
                    request.deadline.check()
                self._append(request)
        finally:
            self._submitting.release()

    def _append(self, request: EncodeRequest) -> None:
        if self._is_closed:
            raise NotReadyError("the service is stopping")
        self._waiting.append(request)
        self._n_waiting_samples += request.cost
        self._changed.notify_all()

    def _is_full(self, cost: int) -> bool:
        return bool(self._waiting) and self._n_waiting_samples + cost > self._max_waiting_samples

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (batch := self._next_batch()):
                    if self._is_closed:
                        return
                    if not self._waiting:
                        self._changed.wait()
                self._n_running += 1
                all_threads = self._n_running == 1 and not self._waiting
            try:
                self._run(batch, all_threads=all_threads)
            except Exception:  # an error of `on_run` must not end the thread
                _logger.exception("a run of the encoder could not be reported")
            finally:
                with self._changed:
                    self._n_running -= 1

    def _run(self, batch: Sequence[EncodeRequest], *, all_threads: bool) -> None:
        start = time.perf_counter()
        for request in batch:
            request.started = start
        try:
            clips = [request.samples for request in batch]
            results = self._encoder.run(clips, batch[0].output, all_threads=all_threads)
        except Exception as error:  # it is raised in the threads that wait for the clips
            for request in batch:
                request.future.set_exception(error)
            return
        took_s = time.perf_counter() - start
        for request, result in zip(batch, results, strict=True):
            request.future.set_result(result)
        self._on_run(
            Run(
                n_clips=len(batch),
                audio_s=sum(clip.size for clip in clips) / self._encoder.sample_rate,
                waited_s=[start - request.submitted for request in batch],
                took_s=took_s,
            )
        )

    def _next_batch(self) -> list[EncodeRequest]:
        """Remove the next batch from the waiting clips; it is empty if none can run."""
        self._discard_unwanted()
        if not self._waiting or self._is_closed:
            return []
        oldest = self._waiting[0]
        batch, others = [oldest], []
        longest = oldest.cost
        for request in islice(self._waiting, 1, None):
            padded = (len(batch) + 1) * max(longest, request.cost)
            if padded <= self._max_batch_samples and _may_share_run(request, oldest):
                longest = max(longest, request.cost)
                batch.append(request)
            else:
                others.append(request)
        self._set_waiting(others)
        return [request for request in batch if request.future.set_running_or_notify_cancel()]

    def _discard_unwanted(self) -> None:
        """Discard clips that were cancelled or whose deadline passed."""
        wanted = []
        for request in self._waiting:
            if request.deadline.is_over and request.future.set_running_or_notify_cancel():
                request.future.set_exception(request.deadline.error())
            elif not request.future.cancelled():
                wanted.append(request)
        if len(wanted) < len(self._waiting):
            self._set_waiting(wanted)

    def _set_waiting(self, requests: list[EncodeRequest]) -> None:
        self._waiting = deque(requests)
        self._n_waiting_samples = sum(request.cost for request in requests)
        self._changed.notify_all()


def _may_share_run(request: EncodeRequest, oldest: EncodeRequest) -> bool:
    """Return whether a clip has the same output and a similar length as the oldest clip."""
    has_similar_length = abs(request.cost - oldest.cost) <= MAX_PADDING * oldest.cost
    return has_similar_length and request.output == oldest.output
