"""Length of a run: a number of steps, or a time."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunLength:
    """End of a run, and the number of steps of its schedules.

    A run of a given time does not know its number of steps. It is estimated at every step from
    the speed so far, so that cosine schedules end where the time ends.

    Attributes:
        n_steps: Steps of all epochs.
        seconds: Training time after which the run ends [s]; it replaces the epochs. None: the run
            ends after ``n_steps``.
        stop_after: Step after which the run stops early, without a change of the schedules.
    """

    n_steps: int
    seconds: float | None = None
    stop_after: int | None = None

    @property
    def known_steps(self) -> int | None:
        """Step at which the run stops, if it is known."""
        limits = [self.n_steps] if self.seconds is None else []
        limits += [] if self.stop_after is None else [self.stop_after]
        return min(limits, default=None)

    def is_over(self, step: int, elapsed_s: float) -> bool:
        """Tell whether the run ends before a step.

        Args:
            step: Number of steps done.
            elapsed_s: Training time [s].
        """
        if self.known_steps is not None and step >= self.known_steps:
            return True
        return self.seconds is not None and elapsed_s >= self.seconds

    def total_steps(self, step: int, elapsed_s: float) -> float:
        """Estimate the steps of the whole run, for its schedules.

        Args:
            step: Number of steps done.
            elapsed_s: Training time of these steps [s].

        Returns:
            At least ``step + 1``; infinity before the first step of a run of a given time.
        """
        if self.seconds is None:
            return self.n_steps
        if elapsed_s <= 0:
            return math.inf
        return max(step * self.seconds / elapsed_s, step + 1.0)
