"""Map of a library: its clips on a plane, by principal component analysis."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Float32

from service.catalog.changes import Version
from service.clips import ClipRecord
from service.library.library import Library

MAX_POINTS = 4000
"""Most clips on the map. Of a larger library, evenly many from its oldest to its newest."""


@dataclass(frozen=True, slots=True)
class Map:
    """Positions of the clips of a library on a plane.

    Attributes:
        version: Version of the library that was drawn.
        n_clips: Clips in the library, on the map or not.
        records: The clips on the map, oldest first.
        positions: Their positions [clips, 2], scaled so that the largest coordinate is 1 or -1.
        shown: Share of the variance of their vectors along the two axes, 0..1.
    """

    version: Version
    n_clips: int
    records: list[ClipRecord]
    positions: Float32[np.ndarray, "clips 2"]
    shown: float

    @property
    def revision(self) -> int:
        """Revision of the library that was drawn."""
        return self.version.revision


class LibraryMap:
    """Draws the map of a library and caches it until the library changes.

    Args:
        library: The library to draw.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._cached: Map | None = None
        self._lock = Lock()

    def map(self) -> Map:
        """Return the map of the current revision of the library."""
        with self._lock:
            if self._cached is None or self._cached.version != self._library.catalog.version():
                self._cached = self._draw()
            return self._cached

    def _draw(self) -> Map:
        version, seqs, vectors = self._library.index.sample(MAX_POINTS)
        found = self._library.catalog.records(seqs.tolist())
        # A clip may be deleted between the two reads.
        exists = np.array([seq in found for seq in seqs.tolist()], bool)
        records = [found[seq] for seq in seqs[exists].tolist()]
        positions, shown = pca_2d(vectors[exists])
        largest = np.abs(positions).max(initial=0)
        if largest > 0:
            positions = positions / largest
        return Map(version, self._library.catalog.count(), records, positions, shown)


def pca_2d(
    vectors: Float32[np.ndarray, "clips dim"],
) -> tuple[Float32[np.ndarray, "clips 2"], float]:
    """Project vectors on their first two principal components.

    The sign of each axis is fixed: the coordinate of the largest magnitude is positive.

    Args:
        vectors: Any number of them, also none; dim is at least 2.

    Returns:
        The coordinates, relative to the mean, and their share of the variance, 0..1.
    """
    n, dim = vectors.shape
    centred = vectors - vectors.mean(axis=0) if n else vectors
    if np.square(centred).sum() <= 1e-12 * n:
        return np.zeros((n, 2), np.float32), 0.0
    # Both matrices have the same eigenvalues above 0; the smaller one is decomposed.
    if n < dim:
        variances, components = np.linalg.eigh(centred @ centred.T)
        positions = components[:, :-3:-1] * np.sqrt(np.maximum(variances[:-3:-1], 0))
    else:
        variances, components = np.linalg.eigh(centred.T @ centred)
        positions = centred @ components[:, :-3:-1]
    positions *= np.sign(positions[np.abs(positions).argmax(axis=0), [0, 1]])
    return positions, min(1.0, float(variances[-2:].sum() / variances.sum()))
