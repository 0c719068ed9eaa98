"""Many vectors by row, in half precision, searched in the lists nearest to the query.

An inverted file: vectors are kept in lists by the nearest of some thousand centroids, and a search
looks into the `n_probe` lists nearest to the query. What it finds there is ranked again by the
inner products of the vectors themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import faiss
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64

from service.background import StoppedError
from service.difference import unit
from service.rows import find, select_clips

TARGET_RECALL = 0.99
"""Of the ten nearest, on trial queries, when the number of lists looked into is chosen."""
TRIAL_QUERIES = 64
TRIAL_K = 10
ITERATIONS = 8
POINTS_PER_CENTROID = 40
SCORED_DIRECTLY = 5_000
"""So few vectors that pass a filter are all compared with the query."""

_BATCH = 10_000

Vectors = Float16[np.ndarray, "rows dim"] | Float32[np.ndarray, "rows dim"]


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
        self._members = np.sort(_list_ids(ivf))
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
        n_probe = self._ivf.nlist if exact else self._widened(chosen)
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
        return min(int(self._ivf.nlist), math.ceil(self.n_probe / share))

    def _rank(
        self, query: Float32[np.ndarray, " dim"], rows: Int64[np.ndarray, " rows"], k: int
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        if not len(rows):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        scores = self.kept(rows) @ query
        order = np.lexsort((rows, -scores))[:k]
        return scores[order], rows[order]


def build(
    rows: Int64[np.ndarray, " rows"],
    vectors: Vectors,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> SettledVectors:
    """Make an inverted file; the same vectors give the same one.

    Args:
        rows: Row of each vector, each once.
        vectors: Unit vectors, at least one.
        is_stopped: Asked now and then whether to give up.

    Raises:
        StoppedError: It was told to.
    """
    faiss.omp_set_num_threads(1)  # of this thread alone: what is served goes first
    n, dim = vectors.shape
    random = np.random.default_rng(0)
    n_lists = max(1, min(round(4 * math.sqrt(n)), n // POINTS_PER_CENTROID))
    centroids = _centroids(vectors, n_lists, random, is_stopped)
    quantiser = faiss.IndexFlatIP(dim)
    quantiser.add(centroids)
    ivf = faiss.IndexIVFScalarQuantizer(
        quantiser,
        dim,
        n_lists,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # keep the vectors themselves, not their distances from the centroids
    )
    ivf.train(centroids)
    _fill(ivf, rows, vectors, is_stopped)
    settled = SettledVectors(ivf, n_lists)
    settled.n_probe = _choose_n_probe(settled, n_lists, vectors, random)
    return settled


def _fill(
    ivf: Any, rows: Int64[np.ndarray, " rows"], vectors: Vectors, is_stopped: Callable[[], bool]
) -> None:
    """Add vectors to lists of the right size, which otherwise grow to half more than they need."""
    n = len(rows)
    lists = np.empty(n, np.int64)
    for first in range(0, n, _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        lists[batch] = ivf.quantizer.assign(np.ascontiguousarray(vectors[batch], np.float32), 1)[
            :, 0
        ]
    for number, size in enumerate(np.bincount(lists, minlength=ivf.nlist)):
        ivf.invlists.resize(number, int(size))
        ivf.invlists.resize(number, 0)
    for first in range(0, n, _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        values = np.ascontiguousarray(vectors[batch], np.float32)
        own, given = np.ascontiguousarray(rows[batch]), np.ascontiguousarray(lists[batch])
        ivf.add_core(len(values), *map(faiss.swig_ptr, (values, own, given)))


def _centroids(
    vectors: Vectors, n_lists: int, random: np.random.Generator, is_stopped: Callable[[], bool]
) -> Float32[np.ndarray, "lists dim"]:
    """Find the centroids by k-means on the sphere, over a sample of the vectors."""
    n = len(vectors)
    sample = random.permutation(n)[: n_lists * POINTS_PER_CENTROID]
    points = np.ascontiguousarray(vectors[np.sort(sample)], np.float32)
    centroids = points[random.permutation(len(points))[:n_lists]]
    for _ in range(ITERATIONS):
        _check(is_stopped)
        means = faiss.Kmeans(
            points.shape[1],
            n_lists,
            niter=1,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=len(points),
        )
        means.train(points, init_centroids=centroids)
        centroids = means.centroids
    return centroids


def _choose_n_probe(
    settled: SettledVectors, n_lists: int, vectors: Vectors, random: np.random.Generator
) -> int:
    """Return the fewest lists that hold enough of the ten nearest of trial queries.

    A trial query lies between two clips, as a sound with words added lies between clips: such
    queries are farther from the centroids than the clips are.
    """
    pairs = random.integers(0, len(vectors), (2, TRIAL_QUERIES))
    queries = unit(vectors[pairs[0]].astype(np.float32) + vectors[pairs[1]].astype(np.float32))
    exact = [set(settled.search(query, TRIAL_K, exact=True)[1]) for query in queries]
    n_probe = 1
    while n_probe < n_lists:
        settled.n_probe = n_probe
        found = [set(settled.search(query, TRIAL_K)[1]) for query in queries]
        shares = [len(a & b) / len(b) for a, b in zip(found, exact, strict=True)]
        if np.mean(shares) >= TARGET_RECALL:
            return n_probe
        n_probe += math.ceil(n_probe / 4)
    return n_lists


def _check(is_stopped: Callable[[], bool]) -> None:
    if is_stopped():
        raise StoppedError


def _selector(
    chosen: Int64[np.ndarray, " rows"] | None, gone: Int64[np.ndarray, " rows"]
) -> Any | None:
    if chosen is not None:
        return faiss.IDSelectorBatch(chosen)
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(gone)) if len(gone) else None


def _list_ids(ivf: Any) -> Int64[np.ndarray, " rows"]:
    """Read the rows of all vectors out of the lists."""
    lists = ivf.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy()
        for i in range(ivf.nlist)
        if lists.list_size(i)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
