"""Time at which a sound is heard that the other side lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from service.clips import Windows

STEP_S = 0.1
"""Step of the searched starts and ends [s]."""
REACH_S = 1.0
"""Range of the search around the windows that stand out [s]."""
SHORTEST_S = 0.3
"""Shortest time that is searched [s]."""
LEAST_FIT = 0.6
"""Least correlation of the windows with those of a sound at the time that is found."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Start and end of a sound [s]."""

    start_s: float
    end_s: float

    def overlaps(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """Return the share of each window that lies in the sound, 0 to 1."""
        shares: np.ndarray = _overlaps(windows, np.array([self.start_s]), np.array([self.end_s]))[0]
        return shares


def rises(windows: Windows, others: Sequence[Windows]) -> Float32[np.ndarray, " windows"]:
    """Return how far each window rises above everything that is heard in others.

    It is the sum over the dimensions of what exceeds the largest value of all other windows.

    Args:
        windows: Windows of the sound that has more.
        others: Windows of the other sounds, at least one.
    """
    known = np.max([other.embeddings.max(axis=0) for other in others], axis=0)
    risen: np.ndarray = np.maximum(windows.embeddings - known, 0.0).sum(axis=1)
    return risen


def locate(rise: Float[np.ndarray, " windows"], windows: Windows) -> Extent | None:
    """Find the time at which a sound explains the rise of the windows best.

    A window is taken to rise by the share of it that the sound fills.

    Args:
        rise: Rise of each window.
        windows: The windows.

    Returns:
        None if no time explains it, as for a sound that is there all the time.
    """
    rise = rise.astype(np.float64) - rise.mean(dtype=np.float64)
    size = float(np.linalg.norm(rise))
    run = _highest_run(rise)
    if size < 1e-9 or run is None:
        return None
    middles = (windows.starts_s + windows.ends_s) / 2.0
    near = np.arange(-REACH_S, REACH_S + STEP_S / 2.0, STEP_S)
    end_s = float(windows.ends_s[-1])
    starts = np.clip(middles[run[0]] + near, 0.0, end_s)
    ends = np.clip(middles[run[1]] + near, 0.0, end_s)
    pairs = np.array([(s, e) for s in starts for e in ends if e - s >= SHORTEST_S])
    if not len(pairs):
        return None
    expected = _overlaps(windows, pairs[:, 0], pairs[:, 1])
    expected -= expected.mean(axis=1, keepdims=True)
    fits = expected @ rise / np.maximum(np.linalg.norm(expected, axis=1) * size, 1e-9)
    best = int(fits.argmax())
    if fits[best] < LEAST_FIT:
        return None
    return Extent(float(pairs[best, 0]), float(pairs[best, 1]))


def _highest_run(rise: Float[np.ndarray, " windows"]) -> tuple[int, int] | None:
    """Return the first and last window of the run that stands out most from the rest.

    Args:
        rise: Rise of each window, of mean 0.
    """
    n = len(rise)
    sums = np.concatenate([[0.0], np.cumsum(rise)])
    lengths = np.arange(n + 1) - np.arange(n + 1)[:, np.newaxis]
    is_run = (lengths > 0) & (lengths < n)
    if not is_run.any():
        return None
    spread = np.sqrt(np.maximum(lengths * (n - lengths), 1))
    contrast = np.where(is_run, (sums - sums[:, np.newaxis]) / spread, -np.inf)
    first, after = np.unravel_index(int(contrast.argmax()), contrast.shape)
    return int(first), int(after) - 1


def _overlaps(
    windows: Windows, starts_s: Float[np.ndarray, " times"], ends_s: Float[np.ndarray, " times"]
) -> Float[np.ndarray, "times windows"]:
    inside = np.minimum(windows.ends_s, ends_s[:, np.newaxis])
    inside = inside - np.maximum(windows.starts_s, starts_s[:, np.newaxis])
    shares: np.ndarray = np.clip(inside / (windows.ends_s - windows.starts_s), 0.0, 1.0)
    return shares
