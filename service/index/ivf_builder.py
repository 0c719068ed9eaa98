"""Makes inverted files: of all vectors, or of the file there was and what came since.

To find where the lists should lie, and the list of every vector, costs most. They serve until the
vectors ask for many more lists, or for many fewer; until then the file grows: its lists are copied,
without what went, and take in what came.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float16, Float32, Int64

from service.concurrency.background_task import StoppedError
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_tuning import IvfTuner
from service.index.vector_index import BuildSnapshot
from service.row_ids import find

QUERY_BITS = 4
"""Of a number of the query, as it is compared with vectors of one bit a dimension."""
ITERATIONS = 8
POINTS_PER_CENTROID = 40
OUTGROWN = 1.5
"""How many times the lists there are may be asked for, or a part of them, before they are moved."""

_BATCH = 10_000
_SEED = 0

Vectors = Float16[np.ndarray, "rows dim"] | Float32[np.ndarray, "rows dim"]
IsStopped = Callable[[], bool]


def build_ivf(unsettled: BuildSnapshot, *, is_stopped: IsStopped = lambda: False) -> IvfRaBitQIndex:
    """Make an inverted file of all that an index held.

    Args:
        unsettled: At least one vector.
        is_stopped: Asked now and then whether to give up.

    Raises:
        StoppedError: It was told to.
    """
    before = unsettled.settled
    wanted = _wanted_lists(len(unsettled))
    if before is not None and 1 / OUTGROWN <= wanted / before.n_lists <= OUTGROWN:
        return grow(before, unsettled, is_stopped)
    vectors = np.empty((len(unsettled), unsettled.recent[1].shape[1]), np.float16)
    rows = unsettled.gather(vectors)
    return build(rows, vectors, is_stopped=is_stopped)


def build(
    rows: Int64[np.ndarray, " rows"],
    vectors: Vectors,
    *,
    is_stopped: IsStopped = lambda: False,
) -> IvfRaBitQIndex:
    """Make an inverted file from nothing; the same vectors give the same one.

    Args:
        rows: Row of each vector, each once, ascending.
        vectors: Unit vectors, at least one.
        is_stopped: Asked now and then whether to give up.

    Raises:
        StoppedError: It was told to.
    """
    faiss.omp_set_num_threads(1)  # of this thread alone: what is served goes first
    rotation = _rotation(vectors.shape[1])
    n_lists = _wanted_lists(len(rows))
    centroids = _centroids(vectors, n_lists, np.random.default_rng(_SEED), is_stopped)
    ivf = _lists_at(rotation.apply(centroids))
    lists = _assign(ivf, rotation, vectors, is_stopped)
    for number, size in enumerate(np.bincount(lists, minlength=n_lists)):
        _make_room(ivf, number, int(size))
    _add(ivf, rotation, rows, vectors, lists, is_stopped)
    kept, unwritten = _unwritten(*vectors.shape)
    unwritten[:] = vectors
    settled = IvfRaBitQIndex(faiss.IndexPreTransform(rotation, ivf), kept)
    trials = IvfTuner(settled, is_stopped)
    trials.choose_n_candidates()
    trials.choose_n_probe()
    return settled


def grow(before: IvfRaBitQIndex, unsettled: BuildSnapshot, is_stopped: IsStopped) -> IvfRaBitQIndex:
    """Make an inverted file with the lists of the one before.

    Raises:
        StoppedError: It was told to.
    """
    faiss.omp_set_num_threads(1)
    rows, vectors = unsettled.recent
    rotation = _rotation(vectors.shape[1])
    ivf = _lists_at(before.centroids)
    lists = _assign(ivf, rotation, vectors, is_stopped)
    for number, n_new in enumerate(np.bincount(lists, minlength=before.n_lists)):
        _check(is_stopped)
        listed, codes = before.listed(number)
        are_good = find(unsettled.settled_rows, listed)
        if not are_good.all():
            listed, codes = listed[are_good], codes[are_good]
        _make_room(ivf, number, len(listed) + int(n_new))
        if len(listed):
            ivf.invlists.add_entries(
                number, len(listed), faiss.swig_ptr(listed), faiss.swig_ptr(codes)
            )
            ivf.ntotal += len(listed)
    _add(ivf, rotation, rows, vectors, lists, is_stopped)
    kept, unwritten = _unwritten(len(unsettled), vectors.shape[1])
    unsettled.gather(unwritten)
    settled = IvfRaBitQIndex(
        faiss.IndexPreTransform(rotation, ivf), kept, n_candidates=before.n_candidates
    )
    IvfTuner(settled, is_stopped).choose_n_probe()
    return settled


def _wanted_lists(n: int) -> int:
    return max(1, min(round(math.sqrt(n)), n // POINTS_PER_CENTROID))


def _rotation(dim: int) -> Any:
    """Make what spreads the vectors over all dimensions; the same for as many dimensions."""
    return faiss.HadamardRotation(dim, _SEED)


def _lists_at(centroids: Float32[np.ndarray, "lists rotated"]) -> Any:
    """Make an inverted file without vectors."""
    n_lists, dim = centroids.shape
    quantiser = faiss.IndexFlatIP(dim)
    quantiser.add(centroids)
    ivf = faiss.IndexIVFRaBitQ(quantiser, dim, n_lists, faiss.METRIC_INNER_PRODUCT)
    ivf.qb = QUERY_BITS
    ivf.train(centroids)
    return ivf


def _unwritten(n: int, dim: int) -> tuple[Any, Float16[np.ndarray, "n dim"]]:
    """Make an index of vectors that are still to be written, and where to write them."""
    kept = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    kept.codes.resize(n * kept.code_size)
    kept.ntotal = n
    codes = faiss.rev_swig_ptr(kept.codes.data(), n * kept.code_size)
    return kept, codes.view(np.float16).reshape(n, dim)


def _assign(
    ivf: Any, rotation: Any, vectors: Vectors, is_stopped: IsStopped
) -> Int64[np.ndarray, " rows"]:
    """Find the list of each vector."""
    lists = np.empty(len(vectors), np.int64)
    centroids = ivf.quantizer.reconstruct_n()
    for first in range(0, len(vectors), _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        rotated = rotation.apply(np.ascontiguousarray(vectors[batch], np.float32))
        lists[batch] = np.argmax(rotated @ centroids.T, axis=1)
    return lists


def _make_room(ivf: Any, number: int, size: int) -> None:
    """Give an empty list the room it needs; by itself it would grow to half more."""
    ivf.invlists.resize(number, size)
    ivf.invlists.resize(number, 0)


def _add(
    ivf: Any,
    rotation: Any,
    rows: Int64[np.ndarray, " rows"],
    vectors: Vectors,
    lists: Int64[np.ndarray, " rows"],
    is_stopped: IsStopped,
) -> None:
    for first in range(0, len(rows), _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        rotated = rotation.apply(np.ascontiguousarray(vectors[batch], np.float32))
        own, given = np.ascontiguousarray(rows[batch]), np.ascontiguousarray(lists[batch])
        ivf.add_core(len(rotated), *map(faiss.swig_ptr, (rotated, own, given)))


def _centroids(
    vectors: Vectors, n_lists: int, random: np.random.Generator, is_stopped: IsStopped
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
    return np.ascontiguousarray(centroids)


def _check(is_stopped: IsStopped) -> None:
    if is_stopped():
        raise StoppedError
