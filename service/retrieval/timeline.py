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
