"""Many vectors by clip number, in half precision, searched in the lists nearest to the query.

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

TARGET_RECALL = 0.99
"""Of the ten nearest, on trial queries, when the number of lists looked into is chosen."""
TRIAL_QUERIES = 64
TRIAL_K = 10
ITERATIONS = 8
POINTS_PER_CENTROID = 40
SCORED_DIRECTLY = 5_000
"""So few clips that pass a filter are all compared with the query."""

_BATCH = 10_000

Vectors = Float16[np.ndarray, "clips dim"] | Float32[np.ndarray, "clips dim"]


class SettledVectors:
    """An inverted file that does not change, but for vectors that are no longer good.

    Searches may run beside each other, but not beside `remove`.

    Args:
        ivf: The FAISS index.
        n_probe: Lists that a search looks into.
        gone: Numbers whose vectors are no longer good.
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
    def seqs(self) -> Int64[np.ndarray, " clips"]:
        """The numbers of all good vectors, ascending."""
        return np.setdiff1d(self._members, self._gone, assume_unique=True)

    def remove(self, seqs: Int64[np.ndarray, " clips"]) -> None:
        """Let these numbers be found no more; numbers that are not there are passed over."""
        self._gone = np.union1d(self._gone, np.intersect1d(seqs, self._members))

    def vectors(
        self, seqs: Int64[np.ndarray, " clips"]
    ) -> tuple[Bool[np.ndarray, " clips"], Float32[np.ndarray, "found dim"]]:
        """Tell which of these numbers are there, and return their vectors in this order."""
        is_there = np.isin(seqs, self._members) & ~np.isin(seqs, self._gone)
        if not is_there.any():
            return is_there, np.empty((0, self._ivf.d), np.float32)
        return is_there, self.kept(seqs[is_there])

    def kept(self, seqs: Int64[np.ndarray, " clips"]) -> Float32[np.ndarray, "clips dim"]:
        """Return the vectors of numbers that are or were there; also beside `remove`."""
        vectors: np.ndarray = self._ivf.reconstruct_batch(seqs)
        return vectors

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " clips"] | None = None,
        exact: bool = False,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return inner products and numbers of the nearest that were found, best first.

        A filter keeps its recall: few clips are compared one by one, and for more of them as many
        more lists are looked into as there are fewer of them in each.

        Args:
            query: Unit vector.
            k: Most hits.
            among: Search these numbers only.
            exact: Look into all lists.
        """
        rows = None if among is None else np.intersect1d(among, self._members)
        if rows is not None:
            rows = np.setdiff1d(rows, self._gone, assume_unique=True)
            if len(rows) <= max(SCORED_DIRECTLY, k):
                return self._rank(query, rows, k)
        n_probe = self._ivf.nlist if exact else self._widened(rows)
        parameters = faiss.SearchParametersIVF(nprobe=n_probe)
        selector = _selector(rows, self._gone)
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
        """The numbers whose vectors are no longer good."""
        numbers: list[int] = self._gone.tolist()
        return numbers

    def _widened(self, rows: Int64[np.ndarray, " clips"] | None) -> int:
        if rows is None:
            return self.n_probe
        share = len(rows) / len(self._members)
        return min(int(self._ivf.nlist), math.ceil(self.n_probe / share))

    def _rank(
        self, query: Float32[np.ndarray, " dim"], seqs: Int64[np.ndarray, " clips"], k: int
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        if not len(seqs):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        scores = self.kept(seqs) @ query
        order = np.lexsort((seqs, -scores))[:k]
        return scores[order], seqs[order]


def build(
    seqs: Int64[np.ndarray, " clips"],
    vectors: Vectors,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> SettledVectors:
    """Make an inverted file; the same vectors give the same one.

    Args:
        seqs: Number of each vector, each once.
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
    _fill(ivf, seqs, vectors, is_stopped)
    settled = SettledVectors(ivf, n_lists)
    settled.n_probe = _choose_n_probe(settled, n_lists, vectors, random)
    return settled


def _fill(
    ivf: Any, seqs: Int64[np.ndarray, " clips"], vectors: Vectors, is_stopped: Callable[[], bool]
) -> None:
    """Add vectors to lists of the right size, which otherwise grow to half more than they need."""
    n = len(seqs)
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
        own, given = np.ascontiguousarray(seqs[batch]), np.ascontiguousarray(lists[batch])
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
    rows: Int64[np.ndarray, " clips"] | None, gone: Int64[np.ndarray, " clips"]
) -> Any | None:
    if rows is not None:
        return faiss.IDSelectorBatch(rows)
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(gone)) if len(gone) else None


def _list_ids(ivf: Any) -> Int64[np.ndarray, " clips"]:
    """Read the numbers of all vectors out of the lists."""
    lists = ivf.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy()
        for i in range(ivf.nlist)
        if lists.list_size(i)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
