"""How far a mixture is from its references over time, and where it is farthest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.clips import Windows
from service.difference import SMALLEST_NORM
from service.inference.pooling import Windowing

HOP_S = 0.5
WINDOW_S = 1.0
"""From point to point of a curve, and what a point hears, unless the hop is longer [s]."""
MAX_PEAKS = 5
ROWS = 256
"""Windows of a mixture that are compared with all of the references at once."""


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of a mixture and what of the references is nearest to it.

    Attributes:
        start_s: Where it begins in the mixture [s].
        end_s: Where it ends [s].
        relative_norm: How far it is from the nearest window of any reference, 0 and up.
        embedding: Of the stretch [dim].
        nearest: Embedding of that window [dim].
        is_peak: Whether it is one of the highest points.
    """

    start_s: float
    end_s: float
    relative_norm: float
    embedding: Float32[np.ndarray, " dim"]
    nearest: Float32[np.ndarray, " dim"]
    is_peak: bool


def windowing(hop_s: float) -> Windowing:
    """Return how sounds are cut for a curve with a point every `hop_s` seconds."""
    return Windowing(max(WINDOW_S, hop_s), hop_s)


def draw_curve(mixture: Windows, references: Sequence[Windows]) -> list[Point]:
    """Compare every window of a mixture with the nearest one of its references.

    Whatever is heard anywhere in a reference counts as known, at whatever time: what is equal, or
    shifted by a whole number of hops, has distance 0.

    Args:
        mixture: Its windows.
        references: Those of each reference; at least one.
    """
    known = np.concatenate([windows.embeddings for windows in references])
    nearest, distances = find_nearest(mixture.embeddings, known)
    peaks = set(find_peaks(distances).tolist())
    return [
        Point(
            start_s=float(mixture.starts_s[row]),
            end_s=float(mixture.ends_s[row]),
            relative_norm=float(distances[row]),
            embedding=mixture.embeddings[row],
            nearest=known[nearest[row]],
            is_peak=row in peaks,
        )
        for row in range(len(distances))
    ]


def find_nearest(
    windows: Float32[np.ndarray, "windows dim"], known: Float32[np.ndarray, "known dim"]
) -> tuple[Int64[np.ndarray, " windows"], Float[np.ndarray, " windows"]]:
    """Find the nearest known window of each, by the relative norm of their difference.

    Returns:
        Its row, and how far it is.
    """
    known_norms = np.linalg.norm(known, axis=1)
    rows = np.concatenate(
        [
            _relative(windows[first : first + ROWS], known, known_norms).argmin(axis=1)
            for first in range(0, len(windows), ROWS)
        ]
    )
    # The products lose digits where two are nearly equal; how far the chosen ones are does not.
    found = known[rows]
    scale = np.sqrt(np.linalg.norm(windows, axis=1) * known_norms[rows])
    distances = np.linalg.norm(windows - found, axis=1) / np.maximum(scale, SMALLEST_NORM)
    return rows, distances


def find_peaks(heights: Float[np.ndarray, " points"]) -> Int64[np.ndarray, " peaks"]:
    """Find the highest points that are no lower than their neighbours, highest first.

    No two of them are neighbours, and none is 0; at most `MAX_PEAKS`.
    """
    padded = np.concatenate([[-np.inf], heights, [-np.inf]])
    is_top = (heights > 0) & (heights >= padded[:-2]) & (heights > padded[2:])
    tops = np.flatnonzero(is_top)
    return tops[np.argsort(-heights[tops], kind="stable")][:MAX_PEAKS]


def _relative(
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
