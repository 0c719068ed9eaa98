"""An encoder that computes nothing and can be held, for tests of the code that calls it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import numpy as np

from service.inference.encoder import Encoder, Kind

TIMEOUT_S = 30


class FakeEncoder:
    """Returns the first sample of each clip, and one partial for each second of it.

    Attributes:
        runs: What each run was given: the lengths of the clips, and whether it was alone.
        held: Runs wait while this is clear.
        entered: Released once by each run that begins.
    """

    def __init__(self, sample_rate: int = 100) -> None:
        self.sample_rate = sample_rate
        self.runs: list[tuple[list[int], bool]] = []
        self.held = threading.Event()
        self.held.set()
        self.entered = threading.Semaphore(0)
        self.error: Exception | None = None

    def run(
        self, clips: Sequence[np.ndarray], kind: Kind, *, alone: bool = True
    ) -> list[tuple[np.ndarray, ...]]:
        self.runs.append(([clip.size for clip in clips], alone))
        self.entered.release()
        assert self.held.wait(TIMEOUT_S)
        if self.error is not None:
            raise self.error
        if kind == "embedding":
            return [(clip[:1].copy(),) for clip in clips]
        return [(clip[:, None], clip[:, None]) for clip in clips]

    def wait_entered(self) -> None:
        """Wait until one more run has begun."""
        assert self.entered.acquire(timeout=TIMEOUT_S)

    def as_encoder(self) -> Encoder:
        """Return itself as what it stands in for."""
        return cast(Encoder, self)
