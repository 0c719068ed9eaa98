"""A sample of the clips of a library with their vectors, spread evenly over the library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.clips import ClipRecord
from service.library.library import Library


@dataclass(frozen=True, slots=True)
class Sample:
    """Clips with the vectors that searches compare, as of one revision.

    Attributes:
        revision: Revision of the library.
        n_clips: Number of clips in the library.
        records: The clips of the sample, oldest first.
        vectors: Their unit vectors [clips, dim].
    """

    revision: int
    n_clips: int
    records: list[ClipRecord]
    vectors: Float32[np.ndarray, "clips dim"]


def sample_clips(library: Library, n: int) -> Sample:
    """Return at most n clips, evenly spaced from the oldest to the newest."""
    revision, seqs, vectors = library.index.sample(n)
    found = library.catalog.records(seqs.tolist())
    # A clip may be deleted between the two reads.
    exists = np.array([seq in found for seq in seqs.tolist()], bool)
    records = [found[seq] for seq in seqs.tolist() if seq in found]
    return Sample(revision, library.catalog.count(), records, vectors[exists])
