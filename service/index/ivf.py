"""Many vectors by row, searched in the lists nearest to the query.

An inverted file: vectors are shared out to lists by the nearest of many centroids, and a search
looks into the `n_probe` lists nearest to the query. A list tells roughly how near each of its
vectors is, by one bit a dimension (RaBitQ, Gao and Long 2024). The nearest by that are ranked by
inner products of the vectors themselves, which are kept beside the lists in half precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64, UInt8

from service.row_ids import find, select_clips

SCORED_DIRECTLY = 5_000
"""So few vectors that pass a filter are all compared with the query."""
FIRST_HITS = 10
"""Lists and candidates are meant for so many hits, and are not fewer for fewer."""
CANDIDATES_BEYOND = 0.25
"""Candidates that each hit beyond these takes, as a share of those that each of these does."""
LISTS_BEYOND = 0.25
"""Power of the hits by which more lists are looked into: far ones lie in more of them."""


class IvfRaBitQIndex:
    """An inverted file that does not change, but for vectors that are no longer good.

    Searches may run beside each other, but not beside `remove`.

    Args:
        lists: The FAISS index of the lists, by row.
        vectors: The FAISS index of the vectors themselves, in the order of their rows.
        n_probe: Lists that a search for `FIRST_HITS` looks into; all if not given.
        n_candidates: Vectors that are ranked for each of these hits.
        gone: Rows whose vectors are no longer good.
    """

    def __init__(
        self,
        lists: Any,
        vectors: Any,
        *,
        n_probe: int | None = None,
        n_candidates: int = 1,
        gone: Iterable[int] = (),
    ) -> None:
        self._lists = lists
        self._vectors = vectors
        ivf = faiss.extract_index_ivf(lists)
        self._members = np.sort(np.concatenate([_listed(ivf, n)[0] for n in range(ivf.nlist)]))
        self._gone = np.array(sorted(gone), np.int64)
        self.n_probe = self.n_lists if n_probe is None else n_probe
        self.n_candidates = n_candidates

    def __len__(self) -> int:
        return len(self._members) - len(self._gone)

    @property
    def n_gone(self) -> int:
        """How many vectors are kept that are no longer good."""
        return len(self._gone)

    @property
    def gone(self) -> list[int]:
        """The rows whose vectors are no longer good."""
        numbers: list[int] = self._gone.tolist()
        return numbers

    @property
    def n_lists(self) -> int:
        """How many lists the vectors are shared out to."""
        return int(faiss.extract_index_ivf(self._lists).nlist)

    @property
    def centroids(self) -> Float32[np.ndarray, "lists rotated"]:
        """Where the lists lie, as they are rotated."""
        centroids: np.ndarray = faiss.extract_index_ivf(self._lists).quantizer.reconstruct_n()
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
        return is_there, self.kept(rows[is_there]).astype(np.float32)

    def kept(self, rows: Int64[np.ndarray, " rows"]) -> Float16[np.ndarray, "rows dim"]:
        """Return the vectors of rows that are or were there; also beside `remove`."""
        n, size = len(self._members), self._vectors.code_size
        codes = faiss.rev_swig_ptr(self._vectors.codes.data(), n * size)
        vectors: np.ndarray = codes.view(np.float16).reshape(n, self._vectors.d)
        kept: np.ndarray = vectors[self._places(rows)]
        return kept

    def listed(
        self, number: int
    ) -> tuple[Int64[np.ndarray, " listed"], UInt8[np.ndarray, "listed bytes"]]:
        """Return the rows and codes of a list, good or not; they last as long as this object."""
        return _listed(faiss.extract_index_ivf(self._lists), number)

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
            exact: Compare the query with every vector itself.
        """
        chosen = None if among is None else among[self.holds(among)]
        if chosen is not None and len(chosen) <= max(SCORED_DIRECTLY, k):
            return self._rank(query, chosen, k)
        candidates = self._nearest if exact else self._in_lists
        return self._rank(query, candidates(query, k, chosen), k)

    def write(self, file: BinaryIO) -> None:
        """Append the vectors to a file."""
        for part in (self._lists, self._vectors):
            faiss.write_index(part, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, file: BinaryIO, dim: int, **options: Any) -> IvfRaBitQIndex:
        """Read what `write` appended; the vectors stay in the file, which is mapped.

        Args:
            file: Stands where it was appended, at its end; its content never changes.
            dim: Length of a vector.
            options: What the file does not hold, see `IvfRaBitQIndex`.

        Raises:
            ValueError: It is no inverted file of this length of vector.
            RuntimeError: FAISS cannot read it.
        """
        lists = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        if not isinstance(lists, faiss.IndexPreTransform) or lists.d != dim:
            raise ValueError(f"it is no inverted file of {dim} dimensions")
        vectors = _read_mapped(file)
        if not isinstance(vectors, faiss.IndexScalarQuantizer) or vectors.ntotal != lists.ntotal:
            raise ValueError("the vectors are not those of its lists")
        return cls(lists, vectors, **options)

    def _in_lists(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        chosen: Int64[np.ndarray, " rows"] | None,
    ) -> Int64[np.ndarray, " candidates"]:
        """Return the rows of the candidates in the lists nearest to a query."""
        times = max(1.0, k / FIRST_HITS)
        share = 1.0 if chosen is None else len(chosen) / len(self._members)
        n_probe = math.ceil(self.n_probe * times**LISTS_BEYOND / share)
        hits = FIRST_HITS * (1 + CANDIDATES_BEYOND * (times - 1))
        n_candidates = math.ceil(self.n_candidates * hits)
        in_lists = faiss.SearchParametersIVF(
            nprobe=min(n_probe, self.n_lists), sel=_selector(chosen, self._gone)
        )
        _, found = self._lists.search(
            query[np.newaxis],
            min(n_candidates, len(self._members)),
            params=faiss.SearchParametersPreTransform(index_params=in_lists),
        )
        rows: np.ndarray = found[0][found[0] >= 0]
        return rows

    def _nearest(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        chosen: Int64[np.ndarray, " rows"] | None,
    ) -> Int64[np.ndarray, " candidates"]:
        """Return the rows of the nearest of all vectors."""
        places = None if chosen is None else self._places(chosen)
        selector = _selector(places, self._places(self._gone))
        parameters = faiss.SearchParameters(sel=selector)
        _, found = self._vectors.search(query[np.newaxis], 2 * k, params=parameters)
        rows: np.ndarray = self._members[found[0][found[0] >= 0]]
        return rows

    def _places(self, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        """Return where the vectors of rows that are or were there are kept."""
        return np.searchsorted(self._members, rows)

    def _rank(
        self, query: Float32[np.ndarray, " dim"], rows: Int64[np.ndarray, " rows"], k: int
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        scores: np.ndarray = self.kept(rows).astype(np.float32) @ query
        order = np.lexsort((rows, -scores))[:k]
        return scores[order], rows[order]


def _read_mapped(file: BinaryIO) -> Any:
    """Read the index that is the rest of a file without copying what it holds."""
    rest = np.memmap(file, np.uint8, "r", offset=file.tell())
    index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(rest), rest.size))
    faiss.add_to_referenced_objects(index, rest)  # which has to last as long
    return index


def _listed(
    ivf: Any, number: int
) -> tuple[Int64[np.ndarray, " listed"], UInt8[np.ndarray, "listed bytes"]]:
    size = ivf.invlists.list_size(number)
    if not size:
        return np.empty(0, np.int64), np.empty((0, ivf.code_size), np.uint8)
    codes = faiss.rev_swig_ptr(ivf.invlists.get_codes(number), size * ivf.code_size)
    rows = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)
    return rows, codes.reshape(size, ivf.code_size)


def _selector(
    chosen: Int64[np.ndarray, " rows"] | None, gone: Int64[np.ndarray, " rows"]
) -> Any | None:
    if chosen is not None:
        return faiss.IDSelectorBatch(chosen)
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(gone)) if len(gone) else None
