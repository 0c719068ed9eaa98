"""Vectors by row, searched exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.row_ids import find, select_clips


class FlatIndex:
    """A flat index. Searches may run beside each other, but not beside a change.

    Args:
        dim: Length of a vector.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._faiss: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._rows: np.ndarray | None = None  # sorted when they are asked for

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def rows(self) -> Int64[np.ndarray, " rows"]:
        """The rows of all vectors, ascending."""
        if self._rows is None:
            self._rows = np.sort(faiss.vector_to_array(self._faiss.id_map))
        return self._rows

    def add(
        self, rows: Int64[np.ndarray, " rows"], vectors: Float32[np.ndarray, "rows dim"]
    ) -> None:
        """Add vectors under rows that are not there."""
        self._rows = None
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), rows)

    def remove(self, rows: Sequence[int] | Int64[np.ndarray, " rows"]) -> None:
        """Remove the vectors of these rows; rows that are not there are passed over."""
        if len(rows) and len(self):
            self._rows = None
            self._faiss.remove_ids(np.asarray(rows, np.int64))

    def holds(self, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Tell which of these rows are there."""
        return find(self.rows, rows)

    def of_clips(self, seqs: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the rows that are there of these clips, ascending."""
        return select_clips(self.rows, seqs)

    def vectors(
        self, rows: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Tell which of these rows are there, and return their vectors in this order."""
        is_there = self.holds(rows)
        if not is_there.any():
            return is_there, np.empty((0, self._dim), np.float32)
        return is_there, self._faiss.reconstruct_batch(rows[is_there])

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " rows"] | None = None,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return inner products and rows of the nearest, best first; equals by row.

        Args:
            query: Unit vector.
            k: Most hits; fewer come only where fewer vectors are searched.
            among: Search these rows only.
        """
        parameters = faiss.SearchParameters()
        if among is not None:
            selector = faiss.IDSelectorBatch(among)
            parameters.sel = selector
        queries = np.ascontiguousarray(query, np.float32)[np.newaxis]
        n_asked = k + 1
        while True:
            found, numbers = self._faiss.search(queries, n_asked, params=parameters)
            scores, rows = found[0][numbers[0] >= 0], numbers[0][numbers[0] >= 0]
            if len(rows) < n_asked or scores[k - 1] > scores[-1]:
                return scores, rows
            n_asked *= 2

    def write(self, file: BinaryIO) -> None:
        """Append the vectors to a file."""
        faiss.write_index(self._faiss, _writer(file))

    @classmethod
    def read(cls, file: BinaryIO, dim: int) -> FlatIndex:
        """Read what `write` appended.

        Raises:
            ValueError: It is no flat index of this length of vector.
            RuntimeError: FAISS cannot read it.
        """
        index = cls(dim)
        index._faiss = faiss.read_index(_reader(file))
        if not isinstance(index._faiss, faiss.IndexIDMap2) or index._faiss.d != dim:
            raise ValueError(f"it is no flat index of {dim} dimensions")
        return index


def _writer(file: BinaryIO) -> Any:
    return faiss.PyCallbackIOWriter(file.write)


def _reader(file: BinaryIO) -> Any:
    return faiss.PyCallbackIOReader(file.read)
