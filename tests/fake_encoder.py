"""An encoder that computes nothing and can be made to wait, for tests of the code around it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np

from service.inference.chunking import Output, Result
from service.inference.encoder import Encoder

TIMEOUT_S = 30


class FakeEncoder:
    """Returns the first sample of each clip, or all of its samples as partials.

    Attributes:
        info: The part of the geometry that the batcher uses.
        runs: The lengths of the clips of each run, and whether it had all threads.
        released: Runs wait while this is clear.
        entered: Released once by each run that starts.
        error: Raised by each run, if it is set.
    """

    def __init__(self, sample_rate: int = 100) -> None:
        self.sample_rate = sample_rate
        self.info = SimpleNamespace(floor_samples=int(0.95 * sample_rate))
        self.runs: list[tuple[list[int], bool]] = []
        self.released = threading.Event()
        self.released.set()
        self.entered = threading.Semaphore(0)
        self.error: Exception | None = None

    def run(
        self, clips: Sequence[np.ndarray], output: Output, *, all_threads: bool = True
    ) -> list[Result]:
        self.runs.append(([clip.size for clip in clips], all_threads))
        self.entered.release()
        assert self.released.wait(TIMEOUT_S)
        if self.error is not None:
            raise self.error
        if output == "embedding":
            return [(clip[:1].copy(),) for clip in clips]
        return [(clip[:, None], clip[:, None]) for clip in clips]

    def wait_entered(self) -> None:
        """Wait until one more run has started."""
        assert self.entered.acquire(timeout=TIMEOUT_S)

    def as_encoder(self) -> Encoder:
        """Return itself, typed as an encoder."""
        return cast(Encoder, self)
