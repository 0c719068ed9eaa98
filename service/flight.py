"""The pieces of one request between the threads that decode them and those that encode them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Float32

from service.batching import Job, Result, Runs
from service.encoder import Kind
from service.timing import Phases


class Flight:
    """The pieces of one request that are on their way through the encoder.

    Args:
        runs: What encodes them.
        phases: Takes the time spent waiting; the request's patience is theirs.
        ahead: Most samples on their way.
    """

    def __init__(self, runs: Runs, phases: Phases, ahead: int) -> None:
        self._runs = runs
        self._phases = phases
        self._ahead = ahead
        self._under_way: deque[tuple[Job, Callable[[Result], object]]] = deque()
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
            self.land_one()
        start = time.perf_counter()
        job = self._runs.submit(samples, kind, self._phases.patience)
        phase = "encode" if job.future.done() else "queue"
        self._phases.add(phase, time.perf_counter() - start)
        self._under_way.append((job, on_result))
        self._n_samples += samples.size

    def land(self) -> None:
        """Wait for all results."""
        while self._under_way:
            self.land_one()

    def land_one(self) -> None:
        """Wait for the oldest result.

        Raises:
            AbandonedError: The client left.
            DeadlineError: The deadline passed.
        """
        job, on_result = self._under_way.popleft()
        self._n_samples -= job.samples.size
        start = time.perf_counter()
        try:
            result = job.future.result(self._phases.patience.left_s)
        except TimeoutError:
            job.future.cancel()
            raise self._phases.patience.error() from None
        now = time.perf_counter()
        queued_s = min(max(0.0, job.started - start), now - start)
        self._phases.add("queue", queued_s)
        self._phases.add("encode", now - start - queued_s)
        on_result(result)
