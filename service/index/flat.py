"""Flat index: exact search that compares the query with every vector."""

from __future__ import annotations

from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.row_ids import find, select_clips


class FlatIndex:
    """Vectors in float32 under row ids, in memory.

    Searches may run concurrently with each other, but not with a change.

    Args:
        dim: Length of a vector.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._faiss: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._ids: np.ndarray | None = None  # sorted on first use after a change

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def ids(self) -> Int64[np.ndarray, " rows"]:
        """The row ids of all vectors, ascending."""
        if self._ids is None:
            self._ids = np.sort(faiss.vector_to_array(self._faiss.id_map))
        return self._ids

    def add(
        self, ids: Int64[np.ndarray, " rows"], vectors: Float32[np.ndarray, "rows dim"]
    ) -> None:
        """Add vectors under row ids that are not in the index."""
        self._ids = None
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids)

    def remove(self, ids: Int64[np.ndarray, " rows"]) -> None:
        """Remove the vectors of these row ids; ids that are not in the index are ignored."""
        if self.holds(ids).any():
            self._ids = None
            self._faiss.remove_ids(ids)

    def holds(self, ids: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Return which of these row ids are in the index."""
        return find(self.ids, ids)

    def of_clips(self, clips: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the row ids in the index of these clips, ascending."""
        ids: np.ndarray = self.ids[select_clips(self.ids, clips)]
        return ids

    def vectors(
        self, ids: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Return which of these row ids are in the index, and their vectors in this order."""
        is_found = self.holds(ids)
        if not is_found.any():
            return is_found, np.empty((0, self._dim), np.float32)
        return is_found, self._faiss.reconstruct_batch(ids[is_found])

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        allowed: Int64[np.ndarray, " clips"] | None = None,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return the inner products and row ids of the nearest vectors, best first.

        Args:
            query: Unit vector.
            k: Number of hits. All vectors that score as high as hit k are returned too, so there
                may be more; there are fewer only where fewer vectors are searched.
            allowed: Numbers of the clips to search; None for all.
        """
        parameters = faiss.SearchParameters()
        if allowed is not None:
            parameters.sel = faiss.IDSelectorBatch(self.of_clips(allowed))
        queries = np.ascontiguousarray(query, np.float32)[np.newaxis]
        n_asked = k + 1
        while True:
            found = self._faiss.search(queries, n_asked, params=parameters)
            scores, ids = (part[0][found[1][0] >= 0] for part in found)
            if len(ids) < n_asked or scores[k - 1] > scores[-1]:
                return scores, ids
            n_asked *= 2

    def write(self, file: BinaryIO) -> None:
        """Append the index to a file."""
        faiss.write_index(self._faiss, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, file: BinaryIO, dim: int) -> FlatIndex:
        """Read an index that `write` appended, from the current position of the file.

        Raises:
            ValueError: It is not a flat index of vectors of this length.
            RuntimeError: FAISS cannot read it.
        """
        index = cls(dim)
        index._faiss = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        if not isinstance(index._faiss, faiss.IndexIDMap2) or index._faiss.d != dim:
            raise ValueError(f"it is no flat index of {dim} dimensions")
        return index
