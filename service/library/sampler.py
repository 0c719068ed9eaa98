"""Some clips of a library with their vectors, to see how all of them lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.catalog.catalog import Catalog
from service.clips import ClipRecord
from service.library.synced_index import SyncedIndex


@dataclass(frozen=True, slots=True)
class Sample:
    """Clips with the vectors that searches compare, as of one revision.

    Attributes:
        revision: Of the library.
        n_clips: Clips in the library.
        records: The clips of the sample, oldest first.
        vectors: Their unit vectors [clips, dim].
    """

    revision: int
    n_clips: int
    records: list[ClipRecord]
    vectors: Float32[np.ndarray, "clips dim"]


class Sampler:
    """Takes samples of one library.

    Args:
        catalog: Knows its clips.
        index: Knows their vectors.
    """

    def __init__(self, catalog: Catalog, index: SyncedIndex) -> None:
        self._catalog = catalog
        self._index = index

    def take(self, n: int) -> Sample:
        """Return at most n clips, evenly spaced from the oldest to the newest."""
        revision, seqs, vectors = self._index.sample(n)
        found = self._catalog.records(seqs.tolist())
        # A clip may be deleted between the two reads.
        is_there = np.array([seq in found for seq in seqs.tolist()], bool)
        records = [found[seq] for seq in seqs.tolist() if seq in found]
        return Sample(revision, self._catalog.count(), records, vectors[is_there])
