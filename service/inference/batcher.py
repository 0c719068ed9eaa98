"""Gathers clips while the encoder works, so that nothing waits for company and none runs alone.

There is no timer. A clip that comes while nothing runs is encoded at once, with all threads. What
comes while the encoder works waits, and the next run takes the oldest and others of nearly its
length, up to a budget in seconds of audio. What nobody waits for any longer is left out.
"""

from __future__ import annotations

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
from service.inference.encoder import FLOOR_S, Encoder, Kind

Result = tuple[np.ndarray, ...]

BATCH_S = 10.0
"""Audio of one run, padding included [s]."""
WAITING_S = 300.0
"""Decoded audio that may wait for the encoder; whoever brings more waits with it [s]."""
MAX_PADDING = 0.1
"""How much shorter than the oldest clip, or longer, one may be to share its run."""


@dataclass(eq=False, slots=True)
class EncodeRequest:
    """A clip that is to be encoded.

    Attributes:
        samples: Mono waveform [samples], float32.
        kind: What is wanted of it.
        deadline: How long it is wanted.
        cost: What it adds to a run [samples]; the graph works on some least length.
        future: Gives the result.
        submitted: When it was submitted, by the clock of `time.perf_counter` [s].
        started: When its run began [s].
    """

    samples: np.ndarray
    kind: Kind
    deadline: Deadline
    cost: int
    future: Future[Result] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run was: of how many clips, of how much audio [s], and how long they took [s]."""

    n_clips: int
    audio_s: float
    waited_s: list[float]
    took_s: float


class Submitter(Protocol):
    """What encodes clips: a `Batcher`, or an encoder at once."""

    def submit(
        self, samples: Float32[np.ndarray, " samples"], kind: Kind, deadline: Deadline
    ) -> EncodeRequest:
        """Take a clip; see `Batcher.submit`."""
        ...


class SynchronousBatcher:
    """Encodes each clip when it comes, in the thread that brings it.

    Args:
        encoder: What encodes.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def submit(
        self, samples: Float32[np.ndarray, " samples"], kind: Kind, deadline: Deadline
    ) -> EncodeRequest:
        """Encode a clip."""
        job = EncodeRequest(samples, kind, deadline, samples.size)
        job.started = job.submitted
        job.future.set_result(self._encoder.run([samples], kind)[0])
        return job


class Batcher:
    """Encodes what several threads bring, in runs of its own threads.

    Args:
        encoder: What encodes.
        runs: Runs at once.
        batch_s: Audio of one run, padding included [s]; a longer clip has a run of its own.
        waiting_s: Audio that may wait [s]; one clip may in any case.
        on_run: Called after each run.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        runs: int = 1,
        batch_s: float = BATCH_S,
        waiting_s: float = WAITING_S,
        on_run: Callable[[Run], object] = lambda _: None,
    ) -> None:
        self._encoder = encoder
        self._budget = int(batch_s * encoder.sample_rate)
        self._floor = int(FLOOR_S * encoder.sample_rate)
        self._room = int(waiting_s * encoder.sample_rate)
        self._on_run = on_run
        self._door = DeadlineSemaphore(1)
        self._changed = threading.Condition()
        self._waiting: deque[EncodeRequest] = deque()
        self._n_waiting_samples = 0
        self._n_running = 0
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"encode-{n}", daemon=True)
            for n in range(runs)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, samples: Float32[np.ndarray, " samples"], kind: Kind, deadline: Deadline
    ) -> EncodeRequest:
        """Hand a clip over; whoever finds no room waits, and the earliest deadline is let in first.

        Args:
            samples: Mono waveform at the encoder's rate, of at least one sample.
            kind: What is wanted of it.
            deadline: How long it is wanted.

        Raises:
            AbandonedError: The client left before there was room.
            DeadlineError: The deadline passed before there was room.
            NotReadyError: The batcher is closed.
        """
        job = EncodeRequest(samples, kind, deadline, max(samples.size, self._floor))
        self._door.acquire(deadline)
        try:
            with self._changed:
                while self._is_full(job) and not self._is_closed:
                    self._changed.wait(deadline.left_s)
                    deadline.check()
                if self._is_closed:
                    raise NotReadyError("the service is stopping")
                self._append(job)
        finally:
            self._door.release()
        return job

    def close(self) -> None:
        """End the runs under way and refuse what waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        while self._waiting:
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(NotReadyError("the service is stopping"))

    @property
    def waiting_s(self) -> float:
        """How much audio waits for the encoder [s]."""
        return self._n_waiting_samples / self._encoder.sample_rate

    def _is_full(self, job: EncodeRequest) -> bool:
        return bool(self._waiting) and self._n_waiting_samples + job.cost > self._room

    def _append(self, job: EncodeRequest) -> None:
        self._waiting.append(job)
        self._n_waiting_samples += job.cost
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (batch := self._take()):
                    if self._is_closed:
                        return
                    if not self._waiting:
                        self._changed.wait()
                self._n_running += 1
                alone = self._n_running == 1 and not self._waiting
            try:
                self._run(batch, alone=alone)
            finally:
                with self._changed:
                    self._n_running -= 1

    def _run(self, batch: Sequence[EncodeRequest], *, alone: bool) -> None:
        start = time.perf_counter()
        for job in batch:
            job.started = start
        try:
            results = self._encoder.run([job.samples for job in batch], batch[0].kind, alone=alone)
        except Exception as error:  # it belongs to those who wait, whatever it is
            for job in batch:
                job.future.set_exception(error)
            return
        took_s = time.perf_counter() - start
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)
        self._on_run(
            Run(
                n_clips=len(batch),
                audio_s=sum(job.samples.size for job in batch) / self._encoder.sample_rate,
                waited_s=[start - job.submitted for job in batch],
                took_s=took_s,
            )
        )

    def _take(self) -> list[EncodeRequest]:
        """Take the next batch from what waits; empty if nothing does."""
        self._drop()
        if not self._waiting or self._is_closed:
            return []
        oldest = self._waiting[0]
        batch, left = [oldest], []
        longest = oldest.cost
        for job in islice(self._waiting, 1, None):
            padded = (len(batch) + 1) * max(longest, job.cost)
            if padded <= self._budget and job.kind == oldest.kind and _alike(job, oldest):
                longest = max(longest, job.cost)
                batch.append(job)
            else:
                left.append(job)
        self._leave(left)
        return [job for job in batch if job.future.set_running_or_notify_cancel()]

    def _drop(self) -> None:
        """Leave out what nobody waits for."""
        wanted = []
        for job in self._waiting:
            if job.future.cancelled():
                continue
            if job.deadline.is_over and job.future.set_running_or_notify_cancel():
                job.future.set_exception(job.deadline.error())
            elif not job.future.cancelled():
                wanted.append(job)
        if len(wanted) < len(self._waiting):
            self._leave(wanted)

    def _leave(self, jobs: list[EncodeRequest]) -> None:
        self._waiting = deque(jobs)
        self._n_waiting_samples = sum(job.cost for job in jobs)
        self._changed.notify_all()


def _alike(job: EncodeRequest, oldest: EncodeRequest) -> bool:
    return abs(job.cost - oldest.cost) <= MAX_PADDING * oldest.cost
