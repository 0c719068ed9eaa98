"""The pieces of one request between the threads that decode them and those that encode them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Float32

from service.concurrency.timings import RequestTimings
from service.inference.batcher import EncodeRequest, Result, Submitter
from service.inference.encoder import Kind


class PendingChunks:
    """The pieces of one request that are on their way through the encoder.

    Args:
        runs: What encodes them.
        timings: Takes the time spent waiting; the request's patience is theirs.
        ahead: Most samples on their way.
    """

    def __init__(self, runs: Submitter, timings: RequestTimings, ahead: int) -> None:
        self._runs = runs
        self._timings = timings
        self._ahead = ahead
        self._under_way: deque[tuple[EncodeRequest, Callable[[Result], object]]] = deque()
        self._n_samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for job, _ in self._under_way:
            job.future.cancel()

    def send(
        self,
        samples: Float32[np.ndarray, " samples"],
        kind: Kind,
        on_result: Callable[[Result], object],
    ) -> None:
        """Hand a piece to the encoder, once there is room; results are given in their order."""
        while len(self._under_way) > 1 and self._n_samples + samples.size > self._ahead:
            self.wait_oldest()
        start = time.perf_counter()
        job = self._runs.submit(samples, kind, self._timings.deadline)
        phase = "encode" if job.future.done() else "queue"
        self._timings.add(phase, time.perf_counter() - start)
        self._under_way.append((job, on_result))
        self._n_samples += samples.size

    def drain(self) -> None:
        """Wait for all results."""
        while self._under_way:
            self.wait_oldest()

    def wait_oldest(self) -> None:
        """Wait for the oldest result.

        Raises:
            AbandonedError: The client left.
            DeadlineError: The deadline passed.
        """
        job, on_result = self._under_way.popleft()
        self._n_samples -= job.samples.size
        start = time.perf_counter()
        try:
            result = job.future.result(self._timings.deadline.left_s)
        except TimeoutError:
            job.future.cancel()
            raise self._timings.deadline.error() from None
        now = time.perf_counter()
        queued_s = min(max(0.0, job.started - start), now - start)
        self._timings.add("queue", queued_s)
        self._timings.add("encode", now - start - queued_s)
        on_result(result)
