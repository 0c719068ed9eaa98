"""Distance of a mixture from its references over time, and its peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.clips import Windows
from service.difference import SMALLEST_NORM
from service.inference.pooling import Windowing

WINDOW_S = 1.0
"""Length of the windows of a curve, unless its hop is longer [s]."""
MAX_PEAKS = 5
ORDINARY = 0.25
"""Share of the windows that lie below the distance of an ordinary one, 0 to 1."""
LEVEL = 0.5
"""Distance of a window that holds a sound, from the ordinary windows (0) to the highest (1)."""
BLOCK_ROWS = 256
"""Windows of a mixture that are compared with all windows of the references at once."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Distance of each window of a mixture from the nearest window of its references.

    Attributes:
        relative_norms: Relative norm of the difference, 0.. [windows].
        nearest: Embedding of the nearest window of any reference [windows dim].
        peaks: Rows of the highest windows, highest first.
    """

    relative_norms: Float[np.ndarray, " windows"]
    nearest: Float32[np.ndarray, "windows dim"]
    peaks: list[int]


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a sound is that the other side lacks.

    Attributes:
        start_s: Its start [s].
        end_s: Its end [s].
        first: The first window that holds it.
        last: The last one.
    """

    start_s: float
    end_s: float
    first: int
    last: int


def curve_windowing(hop_s: float) -> Windowing:
    """Return the windows of a curve with a point every `hop_s` seconds."""
    return Windowing(max(WINDOW_S, hop_s), hop_s)


def compare_windows(mixture: Windows, references: Sequence[Windows]) -> Timeline:
    """Compare every window of a mixture with the nearest window of its references.

    The time of a window does not count: a sound at any time of a reference is known. Windows that
    are equal, or shifted by a whole number of hops, have distance 0.

    Args:
        mixture: Windows of the mixture.
        references: Windows of each reference; at least one.
    """
    known = np.concatenate([windows.embeddings for windows in references])
    rows, distances = find_nearest(mixture.embeddings, known)
    return Timeline(distances, known[rows], find_peaks(distances).tolist())


def find_nearest(
    windows: Float32[np.ndarray, "windows dim"], known: Float32[np.ndarray, "known dim"]
) -> tuple[Int64[np.ndarray, " windows"], Float[np.ndarray, " windows"]]:
    """Find the nearest known window of each window, by the relative norm of their difference.

    Returns:
        Its row, and its distance.
    """
    known_norms = np.linalg.norm(known, axis=1)
    rows = np.concatenate(
        [
            _squared_distances(windows[first : first + BLOCK_ROWS], known, known_norms).argmin(1)
            for first in range(0, len(windows), BLOCK_ROWS)
        ]
    )
    # Products lose digits where two windows are nearly equal, so the distance is computed anew.
    found = known[rows]
    scale = np.sqrt(np.linalg.norm(windows, axis=1) * known_norms[rows])
    distances = np.linalg.norm(windows - found, axis=1) / np.maximum(scale, SMALLEST_NORM)
    return rows, distances


def locate(
    distances: Float[np.ndarray, " windows"],
    starts_s: Float[np.ndarray, " windows"],
    ends_s: Float[np.ndarray, " windows"],
) -> Extent | None:
    """Find where a sound is that the other side lacks.

    The windows around the highest one that are more than `LEVEL` of the way up from the ordinary
    windows hold it. A sound begins after the end of the last window before them, and not after the
    end of the first of them: it is taken to begin in the middle of the two, and likewise to end.

    Args:
        distances: Distance of each window from the nearest one of the other side.
        starts_s: Start of each window [s].
        ends_s: Its end [s].

    Returns:
        None if no window differs.
    """
    top = int(distances.argmax())
    ordinary = float(np.quantile(distances, ORDINARY))
    if not distances[top] > 0:
        return None
    level = ordinary + LEVEL * (float(distances[top]) - ordinary)
    is_high = distances >= level
    before, after = np.flatnonzero(~is_high[:top]), np.flatnonzero(~is_high[top:])
    first = int(before[-1]) + 1 if before.size else 0
    last = top + int(after[0]) - 1 if after.size else len(distances) - 1
    start_s, end_s = 0.0, float(ends_s[-1])
    if first > 0:
        start_s = float(ends_s[first - 1] + ends_s[first]) / 2.0
    if last < len(distances) - 1:
        end_s = float(starts_s[last] + starts_s[last + 1]) / 2.0
    if end_s <= start_s:  # shorter than the step of the windows
        middle_s = (start_s + end_s) / 2.0
        step_s = float(starts_s[top] - starts_s[top - 1]) if top else 0.0
        start_s, end_s = max(middle_s - step_s / 2.0, 0.0), middle_s + step_s / 2.0
    return Extent(start_s, end_s, first, last)


def find_peaks(distances: Float[np.ndarray, " windows"]) -> Int64[np.ndarray, " peaks"]:
    """Find the highest windows that are no lower than their neighbours, highest first.

    No two of them are neighbours, and none is 0; at most `MAX_PEAKS`.
    """
    padded = np.concatenate([[-np.inf], distances, [-np.inf]])
    is_peak = (distances > 0) & (distances >= padded[:-2]) & (distances > padded[2:])
    peaks = np.flatnonzero(is_peak)
    return peaks[np.argsort(-distances[peaks], kind="stable")][:MAX_PEAKS]


def _squared_distances(
    windows: Float32[np.ndarray, "windows dim"],
    known: Float32[np.ndarray, "known dim"],
    known_norms: Float32[np.ndarray, " known"],
) -> Float[np.ndarray, "windows known"]:
    """Return the squared relative norm of each difference."""
    norms = np.linalg.norm(windows, axis=1)[:, np.newaxis].astype(np.float64)
    products = windows.astype(np.float64) @ known.T.astype(np.float64)
    squares = norms**2 + known_norms.astype(np.float64) ** 2 - 2.0 * products
    relative: np.ndarray = squares / np.maximum(norms * known_norms, SMALLEST_NORM)
    return relative
