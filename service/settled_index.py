"""Many vectors by row, in half precision, searched in the lists nearest to the query.

An inverted file: vectors are kept in lists by the nearest of some thousand centroids, and a search
looks into the `n_probe` lists nearest to the query. What it finds there is ranked again by the
inner products of the vectors themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64

from service.rows import find, select_clips

SCORED_DIRECTLY = 5_000
"""So few vectors that pass a filter are all compared with the query."""


class SettledVectors:
    """An inverted file that does not change, but for vectors that are no longer good.

    Searches may run beside each other, but not beside `remove`.

    Args:
        ivf: The FAISS index.
        n_probe: Lists that a search looks into.
        gone: Rows whose vectors are no longer good.
    """

    def __init__(self, ivf: Any, n_probe: int, gone: Iterable[int] = ()) -> None:
        self._ivf = ivf
        self.n_probe = n_probe
        self._members = np.sort(np.concatenate([self.members(i)[0] for i in range(ivf.nlist)]))
        self._gone = np.array(sorted(gone), np.int64)
        if ivf.direct_map.type != faiss.DirectMap.Hashtable:
            ivf.set_direct_map_type(faiss.DirectMap.Hashtable)

    def __len__(self) -> int:
        return len(self._members) - len(self._gone)

    @property
    def n_gone(self) -> int:
        """How many vectors are kept that are no longer good."""
        return len(self._gone)

    @property
    def n_lists(self) -> int:
        """How many lists the vectors are shared out to."""
        return int(self._ivf.nlist)

    @property
    def centroids(self) -> Float32[np.ndarray, "lists dim"]:
        """Where the lists lie."""
        centroids: np.ndarray = self._ivf.quantizer.reconstruct_n(0, self.n_lists)
        return centroids

    @property
    def rows(self) -> Int64[np.ndarray, " rows"]:
        """The rows of all good vectors, ascending."""
        good: np.ndarray = self._members[~find(self._gone, self._members)]
        return good

    def of_clips(self, seqs: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the rows of all good vectors of these clips, ascending."""
        rows = select_clips(self._members, seqs)
        good: np.ndarray = rows[~find(self._gone, rows)]
        return good

    def remove(self, rows: Int64[np.ndarray, " rows"]) -> None:
        """Let these rows be found no more; rows that are not there are passed over."""
        self._gone = np.union1d(self._gone, np.intersect1d(rows, self._members))

    def holds(self, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Tell which of these rows are there."""
        are_there: np.ndarray = find(self._members, rows) & ~find(self._gone, rows)
        return are_there

    def vectors(
        self, rows: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Tell which of these rows are there, and return their vectors in this order."""
        is_there = self.holds(rows)
        if not is_there.any():
            return is_there, np.empty((0, self._ivf.d), np.float32)
        return is_there, self.kept(rows[is_there])

    def kept(self, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows dim"]:
        """Return the vectors of rows that are or were there; also beside `remove`."""
        vectors: np.ndarray = self._ivf.reconstruct_batch(rows)
        return vectors

    def members(
        self, number: int
    ) -> tuple[Int64[np.ndarray, " members"], Float16[np.ndarray, "members dim"]]:
        """Return the rows and vectors of a list, good or not; they last as long as this object."""
        lists = self._ivf.invlists
        size = lists.list_size(number)
        if not size:
            return np.empty(0, np.int64), np.empty((0, self._ivf.d), np.float16)
        codes = faiss.rev_swig_ptr(lists.get_codes(number), size * self._ivf.code_size)
        vectors = codes.view(np.float16).reshape(size, self._ivf.d)
        return faiss.rev_swig_ptr(lists.get_ids(number), size), vectors

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " rows"] | None = None,
        exact: bool = False,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return inner products and rows of the nearest that were found, best first.

        A filter keeps its recall: few vectors are compared one by one, and for more of them as many
        more lists are looked into as there are fewer of them in each.

        Args:
            query: Unit vector.
            k: Most hits.
            among: Search these rows only, each given once.
            exact: Look into all lists.
        """
        chosen = None if among is None else among[self.holds(among)]
        if chosen is not None and len(chosen) <= max(SCORED_DIRECTLY, k):
            return self._rank(query, chosen, k)
        n_probe = self.n_lists if exact else self._widened(chosen)
        parameters = faiss.SearchParametersIVF(nprobe=n_probe)
        selector = _selector(chosen, self._gone)
        if selector is not None:
            parameters.sel = selector
        queries = np.ascontiguousarray(query, np.float32)[np.newaxis]
        _, numbers = self._ivf.search(queries, 2 * k, params=parameters)
        return self._rank(query, numbers[0][numbers[0] >= 0], k)

    def write(self, file: BinaryIO) -> None:
        """Append the vectors to a file."""
        faiss.write_index(self._ivf, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, file: BinaryIO, dim: int, n_probe: int, gone: Iterable[int]) -> SettledVectors:
        """Read what `write` appended.

        Raises:
            ValueError: It is no inverted file of this length of vector.
            RuntimeError: FAISS cannot read it.
        """
        ivf = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        if not isinstance(ivf, faiss.IndexIVFScalarQuantizer) or ivf.d != dim:
            raise ValueError(f"it is no inverted file of {dim} dimensions")
        return cls(ivf, n_probe, gone)

    @property
    def gone(self) -> list[int]:
        """The rows whose vectors are no longer good."""
        numbers: list[int] = self._gone.tolist()
        return numbers

    def _widened(self, chosen: Int64[np.ndarray, " rows"] | None) -> int:
        if chosen is None:
            return self.n_probe
        share = len(chosen) / len(self._members)
        return min(self.n_lists, math.ceil(self.n_probe / share))

    def _rank(
        self, query: Float32[np.ndarray, " dim"], rows: Int64[np.ndarray, " rows"], k: int
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        if not len(rows):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        scores = self.kept(rows) @ query
        order = np.lexsort((rows, -scores))[:k]
        return scores[order], rows[order]


def _selector(
    chosen: Int64[np.ndarray, " rows"] | None, gone: Int64[np.ndarray, " rows"]
) -> Any | None:
    if chosen is not None:
        return faiss.IDSelectorBatch(chosen)
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(gone)) if len(gone) else None
