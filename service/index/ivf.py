"""Inverted-file index with one-bit codes (IVF-RaBitQ): approximate search of many vectors.

The vectors are divided into lists by the nearest of many centroids, and a search visits the
`n_probe` lists whose centroids are nearest to the query. A list holds one bit per dimension of each
vector (RaBitQ, Gao and Long 2024), enough to estimate its inner product with the query. The vectors
with the highest estimates are the candidates. They are ranked by exact inner products, for which
all vectors are stored beside the lists in half precision.

Two numberings are in use:

- `ids` are row ids (`service.row_ids`), by which callers name vectors.
- `positions` count the vectors from 0 in ascending order of their ids. The vectors are stored in
  this order, and FAISS knows only positions: they are the ids of its lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64, UInt8

from service.row_ids import select_clips

SCORED_DIRECTLY = 5_000
"""Up to this number of vectors that pass a filter, all are compared with the query."""
FIRST_HITS = 10
"""Number of hits that `IvfParameters` are tuned for; a search for fewer hits costs the same."""
CANDIDATES_BEYOND = 0.25
"""Candidates ranked for each further hit, relative to those for each of the first hits."""
LISTS_BEYOND = 0.25
"""`n_probe` grows with this power of the number of hits: further hits lie in more lists."""


@dataclass(frozen=True, slots=True)
class IvfParameters:
    """Effort of a search for `FIRST_HITS` hits without a filter.

    Attributes:
        n_probe: Lists visited, at least 1.
        n_candidates: Candidates ranked for each hit, at least 1.
    """

    n_probe: int
    n_candidates: int

    def totals(self, k: int, share: float) -> tuple[int, int]:
        """Return the lists to visit and the candidates to rank for k hits.

        Args:
            k: Number of hits.
            share: Part of all vectors that a filter allows, above 0.
        """
        ratio = max(1.0, k / FIRST_HITS)
        n_probe = math.ceil(self.n_probe * ratio**LISTS_BEYOND / share)
        n_hits = FIRST_HITS * (1 + CANDIDATES_BEYOND * (ratio - 1))
        return n_probe, math.ceil(self.n_candidates * n_hits)


class IvfRaBitQIndex:
    """Vectors in an inverted file. They can be deleted, but new ones need a new build.

    Searches may run concurrently with each other, but not with `remove`.

    Args:
        ids: Row id of each vector, ascending.
        lists: FAISS index of the lists, by position.
        vectors: FAISS index of the stored vectors, by position.
        parameters: Effort of a search.
        is_current: Which vectors are not deleted, by position; none is deleted if not given.

    Attributes:
        all_ids: Row id of every position, also of deleted vectors.
        parameters: Effort of a search.
    """

    def __init__(
        self,
        ids: Int64[np.ndarray, " rows"],
        lists: Any,
        vectors: Any,
        *,
        parameters: IvfParameters,
        is_current: Bool[np.ndarray, " rows"] | None = None,
    ) -> None:
        self.all_ids = ids
        self.parameters = parameters
        self._lists = lists
        self._vectors = vectors
        self._is_current = np.ones(len(ids), bool) if is_current is None else is_current
        self._count_current()

    def __len__(self) -> int:
        return self._n_current

    @property
    def n_deleted(self) -> int:
        """Number of vectors that are deleted but still stored."""
        return len(self.all_ids) - self._n_current

    @property
    def n_lists(self) -> int:
        """Number of lists."""
        return int(faiss.extract_index_ivf(self._lists).nlist)

    @property
    def centroids(self) -> Float32[np.ndarray, "lists rotated"]:
        """Centroids of the lists, rotated as the vectors are before they are encoded."""
        centroids: np.ndarray = faiss.extract_index_ivf(self._lists).quantizer.reconstruct_n()
        return centroids

    @property
    def positions(self) -> Int64[np.ndarray, " current"]:
        """Positions of all vectors that are not deleted, ascending."""
        return np.flatnonzero(self._is_current)

    @property
    def ids(self) -> Int64[np.ndarray, " current"]:
        """Row ids of all vectors that are not deleted, ascending."""
        ids: np.ndarray = self.all_ids[self._is_current]
        return ids

    def of_clips(self, clips: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the row ids in the index of these clips, ascending."""
        ids: np.ndarray = self.all_ids[self._positions_of(clips)]
        return ids

    def remove(self, ids: Int64[np.ndarray, " rows"]) -> None:
        """Delete the vectors of these row ids; ids that are not in the index are ignored.

        Looks up the given ids only; vectors and lists stay as they are.
        """
        self._is_current[self._locate(ids)[1]] = False
        self._count_current()

    def holds(self, ids: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Return which of these row ids are in the index."""
        return self._locate(ids)[0]

    def vectors(
        self, ids: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Return which of these row ids are in the index, and their vectors in this order."""
        is_found, positions = self._locate(ids)
        return is_found, self.stored(positions).astype(np.float32)

    def stored(
        self, positions: Int64[np.ndarray, "*rows"] | slice
    ) -> Float16[np.ndarray, "*rows dim"]:
        """Return the vectors at these positions, also deleted ones; safe beside `remove`."""
        return stored_vectors(self._vectors)[positions]

    def entries(
        self, number: int
    ) -> tuple[Int64[np.ndarray, " entries"], UInt8[np.ndarray, "entries bytes"]]:
        """Return the positions and codes in a list, also of deleted vectors.

        Both are views that last as long as this object. Safe beside `remove`.
        """
        ivf = faiss.extract_index_ivf(self._lists)
        size = ivf.invlists.list_size(number)
        if not size:
            return np.empty(0, np.int64), np.empty((0, ivf.code_size), np.uint8)
        positions = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)
        codes = faiss.rev_swig_ptr(ivf.invlists.get_codes(number), size * ivf.code_size)
        return positions, codes.reshape(size, ivf.code_size)

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        allowed: Int64[np.ndarray, " clips"] | None = None,
        exact: bool = False,
        parameters: IvfParameters | None = None,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return the inner products and row ids of the nearest vectors found, best first.

        A filter does not lower the recall: few allowed vectors are all compared with the query, and
        for many the number of lists visited grows as the share of allowed vectors falls.

        Args:
            query: Unit vector.
            k: Number of hits; fewer are returned where the lists visited hold fewer.
            allowed: Numbers of the clips to search; None for all.
            exact: Compare the query with every vector.
            parameters: Effort, instead of that of the index.
        """
        positions = None if allowed is None else self._positions_of(allowed)
        if positions is not None and len(positions) <= max(SCORED_DIRECTLY, k):
            return self._rank(query, positions, k)
        selector = self._selector(positions)
        if exact:
            search_parameters = faiss.SearchParameters(sel=selector)
            found = self._vectors.search(query[np.newaxis], 2 * k, params=search_parameters)[1][0]
        else:
            share = 1.0 if positions is None else len(positions) / len(self.all_ids)
            n_probe, n_candidates = (parameters or self.parameters).totals(k, share)
            found = self._search_lists(query, n_probe, n_candidates, selector)
        return self._rank(query, found[found >= 0], k)

    def write(self, file: BinaryIO) -> None:
        """Append the index to a file, without its parameters."""
        for array in (self.all_ids, self._is_current):
            np.lib.format.write_array(file, array, allow_pickle=False)
        for part in (self._lists, self._vectors):
            faiss.write_index(part, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, file: BinaryIO, dim: int, parameters: IvfParameters) -> IvfRaBitQIndex:
        """Read an index that `write` appended; the vectors are memory-mapped, not copied.

        Args:
            file: At the position where the index was appended, as the last part of the file. Its
                content must never change afterwards.
            dim: Length of a vector.
            parameters: Effort of a search.

        Raises:
            ValueError: It is not an inverted file of vectors of this length.
            RuntimeError: FAISS cannot read it.
        """
        ids, is_current = (np.lib.format.read_array(file, allow_pickle=False) for _ in range(2))
        lists = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        if not isinstance(lists, faiss.IndexPreTransform) or lists.d != dim:
            raise ValueError(f"it is no inverted file of {dim} dimensions")
        vectors = _read_mapped(file)
        sizes = {len(ids), len(is_current), lists.ntotal, vectors.ntotal}
        if not isinstance(vectors, faiss.IndexScalarQuantizer) or len(sizes) != 1:
            raise ValueError("the vectors are not those of its lists")
        return cls(ids, lists, vectors, parameters=parameters, is_current=is_current)

    def _count_current(self) -> None:
        """Update the values derived from `_is_current`: the count, and the bits for FAISS."""
        self._n_current = int(np.count_nonzero(self._is_current))
        self._current_bits = np.packbits(self._is_current, bitorder="little")

    def _locate(
        self, ids: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Int64[np.ndarray, " found"]]:
        """Return which of these row ids are in the index, and the positions of those, in order."""
        positions = np.minimum(np.searchsorted(self.all_ids, ids), len(self.all_ids) - 1)
        is_found = (self.all_ids[positions] == ids) & self._is_current[positions]
        return is_found, positions[is_found]

    def _positions_of(self, clips: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the positions of all vectors of these clips that are not deleted, ascending."""
        positions = select_clips(self.all_ids, clips)
        current: np.ndarray = positions[self._is_current[positions]]
        return current

    def _selector(self, positions: Int64[np.ndarray, " rows"] | None) -> Any | None:
        """Return a FAISS selector of these positions, or of all that are not deleted."""
        if positions is None:
            return faiss.IDSelectorBitmap(self._current_bits) if self.n_deleted else None
        is_allowed = np.zeros(len(self.all_ids), bool)
        is_allowed[positions] = True
        return faiss.IDSelectorBitmap(np.packbits(is_allowed, bitorder="little"))

    def _search_lists(
        self, query: Float32[np.ndarray, " dim"], n_probe: int, n_candidates: int, selector: Any
    ) -> Int64[np.ndarray, " candidates"]:
        """Return the positions with the highest estimates in the nearest lists; -1 for none."""
        parameters = faiss.SearchParametersIVF(nprobe=min(n_probe, self.n_lists), sel=selector)
        _, found = self._lists.search(
            query[np.newaxis],
            min(n_candidates, len(self.all_ids)),
            params=faiss.SearchParametersPreTransform(index_params=parameters),
        )
        candidates: np.ndarray = found[0]
        return candidates

    def _rank(
        self, query: Float32[np.ndarray, " dim"], positions: Int64[np.ndarray, " rows"], k: int
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return inner products and row ids of the k best of some vectors, best first."""
        scores: np.ndarray = self.stored(positions).astype(np.float32) @ query
        order = np.lexsort((positions, -scores))[:k]
        return scores[order], self.all_ids[positions[order]]


def stored_vectors(index: Any) -> Float16[np.ndarray, "rows dim"]:
    """Return the vectors of a FAISS index in half precision, as a view of its memory."""
    codes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    vectors: np.ndarray = codes.view(np.float16).reshape(index.ntotal, index.d)
    return vectors


def _read_mapped(file: BinaryIO) -> Any:
    """Map the rest of a file as a FAISS index, without copying its content."""
    rest = np.memmap(file, np.uint8, "r", offset=file.tell())
    index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(rest), rest.size))
    faiss.add_to_referenced_objects(index, rest)  # keeps the mapping alive
    return index
