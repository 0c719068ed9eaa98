"""The map of a library: where its clips lie when they are laid out on a plane."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Float32

from service.clips import ClipRecord
from service.library.library import Library
from service.library.sampler import sample_clips
from service.pictures.plane import pca_2d

MAX_POINTS = 4000
"""Most clips on the map; of a larger library, evenly many from its oldest to its newest."""


@dataclass(frozen=True, slots=True)
class Map:
    """A library on a plane.

    Attributes:
        revision: Of the library that it shows.
        n_clips: Clips in the library, on the map or not.
        records: The clips on the map, oldest first.
        positions: Where they lie [clips, 2]; the farthest coordinate is 1 or -1.
        shown: Share of the variance of their vectors that the two axes hold, 0..1.
    """

    revision: int
    n_clips: int
    records: list[ClipRecord]
    positions: Float32[np.ndarray, "clips 2"]
    shown: float


class LibraryMap:
    """Draws the map of a library, and keeps it until the library changes.

    Args:
        library: What the map shows.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._kept: Map | None = None
        self._lock = Lock()

    def map(self) -> Map:
        """Return the map of the library as it is now."""
        with self._lock:
            if self._kept is None or self._kept.revision != self._library.catalog.revision():
                self._kept = self._draw()
            return self._kept

    def _draw(self) -> Map:
        sample = sample_clips(self._library, MAX_POINTS)
        positions, shown = pca_2d(sample.vectors)
        farthest = np.abs(positions).max(initial=0)
        if farthest > 0:
            positions = positions / farthest
        return Map(sample.revision, sample.n_clips, sample.records, positions, shown)
