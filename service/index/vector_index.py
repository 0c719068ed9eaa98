"""Index of unit vectors by row id: flat while there are few vectors, IVF beyond.

Vectors that were added recently are in a flat index. When there are too many of them, an inverted
file of all vectors is built concurrently with the searches (`service.index.ivf_builder`), and then
replaces what it was built from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import BinaryIO

import faiss
import numpy as np
import orjson
from jaxtyping import Bool, Float32, Int64

from service.index.flat import FlatIndex
from service.index.ivf import IvfParameters, IvfRaBitQIndex
from service.row_ids import are_whole

EXACT_BELOW = 50_000
"""Up to this number of vectors, search is exact; docs/results/index.json gives its cost."""
RECENT_SHARE = 0.2
"""Share of `EXACT_BELOW` that may be in the flat index beside an inverted file."""
DELETED_SHARE = 0.2
"""Share of deleted vectors in the inverted file above which it is built again."""

_NO_POSITIONS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class BuildSnapshot:
    """The vectors of an index at one moment, to build an inverted file from.

    It stays as it is while the index changes.

    Attributes:
        recent_ids: Row ids in the flat index, ascending.
        vectors: Their vectors.
        ivf: The inverted file before, if any.
        ivf_positions: Positions in it of vectors that were not deleted, ascending.
    """

    recent_ids: Int64[np.ndarray, " recent"]
    vectors: Float32[np.ndarray, "recent dim"]
    ivf: IvfRaBitQIndex | None = None
    ivf_positions: Int64[np.ndarray, " current"] = field(default_factory=_NO_POSITIONS.copy)

    def __len__(self) -> int:
        return len(self.recent_ids) + len(self.ivf_positions)

    def merge_ids(
        self,
    ) -> tuple[
        Int64[np.ndarray, " all"], Int64[np.ndarray, " current"], Int64[np.ndarray, " recent"]
    ]:
        """Return all row ids, ascending, and the positions in them of both parts.

        Returns:
            All row ids; positions of the vectors from `ivf`; positions of the recent vectors.
        """
        if self.ivf is None:
            return self.recent_ids, self.ivf_positions, np.arange(len(self.recent_ids))
        ivf_ids = self.ivf.all_ids[self.ivf_positions]
        ids = np.sort(np.append(ivf_ids, self.recent_ids))
        return ids, np.searchsorted(ids, ivf_ids), np.searchsorted(ids, self.recent_ids)


class VectorIndex:
    """Vectors of clips and their windows at one revision of the catalogue.

    Searches may run concurrently with each other, but not with a change.

    Args:
        dim: Length of a vector.
        exact_below: Number of vectors up to which all are in the flat index.

    Attributes:
        revision: Revision of the catalogue that the vectors belong to.
        token: Random number of that revision, which tells it from one of another catalogue.
    """

    def __init__(self, dim: int, *, exact_below: int = EXACT_BELOW) -> None:
        self.revision = 0
        self.token = 0
        self._dim = dim
        self._exact_below = exact_below
        self._recent = FlatIndex(dim)
        self._ivf: IvfRaBitQIndex | None = None
        self._ids: np.ndarray | None = None  # merged on first use after a change
        # Row ids added or removed since `build_snapshot`; None while nothing is being built.
        self._changed: set[int] | None = None

    def __len__(self) -> int:
        return len(self._recent) + (len(self._ivf) if self._ivf else 0)

    @property
    def ids(self) -> Int64[np.ndarray, " rows"]:
        """The row ids of all vectors, ascending."""
        if self._ivf is None:
            return self._recent.ids
        if self._ids is None:
            self._ids = np.sort(np.append(self._ivf.ids, self._recent.ids))
        return self._ids

    @property
    def is_exact(self) -> bool:
        """True while every search compares all vectors."""
        return self._ivf is None

    @property
    def needs_rebuild(self) -> bool:
        """True if there are too many recent vectors, or too many deleted ones."""
        if self._ivf is None:
            return len(self._recent) > self._exact_below
        if len(self._recent) > RECENT_SHARE * self._exact_below:
            return True
        return self._ivf.n_deleted > DELETED_SHARE * len(self._ivf)

    def add(
        self, ids: Int64[np.ndarray, " rows"], vectors: Float32[np.ndarray, "rows dim"]
    ) -> None:
        """Add vectors under row ids that are not in the index."""
        self._recent.add(ids, vectors)
        self._note_change(ids)

    def remove(self, ids: Int64[np.ndarray, " rows"]) -> None:
        """Remove the vectors of these row ids; ids that are not in the index are ignored."""
        self._recent.remove(ids)
        if self._ivf is not None:
            self._ivf.remove(ids)
        self._note_change(ids)

    def of_clips(self, clips: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the row ids in the index of these clips, ascending."""
        ids = self._recent.of_clips(clips)
        if self._ivf is None:
            return ids
        return np.sort(np.append(self._ivf.of_clips(clips), ids))

    def holds(self, ids: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Return which of these row ids are in the index."""
        is_recent = self._recent.holds(ids)
        return is_recent if self._ivf is None else is_recent | self._ivf.holds(ids)

    def vectors(
        self, ids: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Return which of these row ids are in the index, and their vectors in this order."""
        is_recent, recent = self._recent.vectors(ids)
        if self._ivf is None:
            return is_recent, recent
        is_in_ivf, from_ivf = self._ivf.vectors(ids)
        found = np.empty((len(ids), self._dim), np.float32)
        found[is_recent], found[is_in_ivf] = recent, from_ivf
        is_found = is_recent | is_in_ivf
        return is_found, found[is_found]

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        allowed: Int64[np.ndarray, " clips"] | None = None,
        exact: bool = False,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return the inner products and row ids of the nearest vectors, best first.

        Equal scores are ordered by row id, also where only some of them fit into k. While the index
        is exact, the result depends on its vectors only, not on the order of the changes.

        Args:
            query: Unit vector.
            k: Number of hits; fewer are returned where fewer vectors are found.
            allowed: Numbers of the clips to search; None for all.
            exact: Compare all vectors, at any cost.
        """
        # A single query cannot be divided among threads, and on busy cores a team of them takes
        # milliseconds to meet. The setting belongs to the calling thread.
        faiss.omp_set_num_threads(1)
        if self._ivf is None:
            scores, ids = self._recent.search(query, k, allowed=allowed)
        else:
            scores, ids = self._ivf.search(query, k, allowed=allowed, exact=exact)
            if len(self._recent):
                found = self._recent.search(query, k, allowed=allowed)
                scores, ids = np.append(found[0], scores), np.append(found[1], ids)
        order = np.lexsort((ids, -scores))[:k]
        return scores[order], ids[order]

    def sample(self, n: int) -> tuple[Int64[np.ndarray, " rows"], Float32[np.ndarray, "rows dim"]]:
        """Return row ids and vectors of at most n whole clips, evenly spaced by row id."""
        ids = self.ids
        ids = ids[are_whole(ids)]
        n_clips = min(n, len(ids))
        chosen = ids[np.arange(n_clips) * len(ids) // max(n_clips, 1)]
        return chosen, self.vectors(chosen)[1]

    def build_snapshot(self) -> BuildSnapshot:
        """Return the vectors to build an inverted file from, and start to record changes."""
        self._changed = set()
        ids = self._recent.ids
        vectors = self._recent.vectors(ids)[1]
        if self._ivf is None:
            return BuildSnapshot(ids, vectors)
        return BuildSnapshot(ids, vectors, self._ivf, self._ivf.positions)

    def replace_ivf(self, ivf: IvfRaBitQIndex | None) -> None:
        """Use an inverted file built from the last `build_snapshot`; later changes are kept.

        Args:
            ivf: None if the snapshot was empty.
        """
        if ivf is not None:
            ivf.remove(np.array(sorted(self._changed or ()), np.int64))
            ids = self._recent.ids
            ids = ids[~ivf.holds(ids)]
            recent = FlatIndex(self._dim)  # removing vectors from the old one frees no memory
            recent.add(ids, self._recent.vectors(ids)[1])
            self._recent = recent
        self._ivf, self._changed, self._ids = ivf, None, None

    def write(self, file: BinaryIO) -> None:
        """Write the index to a file.

        Raises:
            OSError: It cannot be written.
        """
        head = None if self._ivf is None else asdict(self._ivf.parameters)
        try:
            file.write(orjson.dumps(head) + b"\n")
            self._recent.write(file)
            if self._ivf is not None:
                self._ivf.write(file)
        except RuntimeError as err:
            raise OSError(f"the index cannot be written: {err}") from err

    @classmethod
    def read(
        cls, file: BinaryIO, *, dim: int, revision: int, exact_below: int = EXACT_BELOW
    ) -> VectorIndex:
        """Read an index that `write` wrote; check its digest first, since FAISS trusts its input.

        Args:
            file: At its start. It may be closed afterwards, but its content must never change.
            dim: Length of a vector.
            revision: See `VectorIndex`.
            exact_below: See `VectorIndex`.

        Raises:
            ValueError: The file is not an index of vectors of this length.
            OSError: It cannot be read.
        """
        index = cls(dim, exact_below=exact_below)
        index.revision = revision
        try:
            head = orjson.loads(file.readline())
            index._recent = FlatIndex.read(file, dim)
            if head is not None:
                index._ivf = IvfRaBitQIndex.read(file, dim, IvfParameters(**head))
        except (RuntimeError, TypeError, orjson.JSONDecodeError) as err:
            raise ValueError(f"it cannot be read: {err}") from err
        return index

    def _note_change(self, ids: Int64[np.ndarray, " rows"]) -> None:
        self._ids = None
        if self._changed is not None:
            self._changed.update(ids.tolist())
