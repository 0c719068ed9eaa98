"""Makes inverted files: of all vectors, or of the file there was and what came since.

To find where the lists should lie costs most by far. They serve until the vectors ask for many more
lists, or for many fewer; until then the file grows: its lists are copied, without what went, and
take in what came.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float16, Float32, Int64

from service.background import StoppedError
from service.difference import unit
from service.index import Unsettled
from service.rows import find
from service.settled_index import SettledVectors

TARGET_RECALL = 0.99
"""Of the ten nearest, on trial queries, when the number of lists looked into is chosen.

Searches find as much, or more where their queries lie nearer to clips.
"""
TRIAL_QUERIES = 128
"""Of fewer the share, and with it the number of lists, would be a matter of chance."""
TRIAL_K = 10
ITERATIONS = 8
POINTS_PER_CENTROID = 40
OUTGROWN = 1.5
"""How many times the lists there are may be asked for, or a part of them, before they are moved."""

_BATCH = 10_000
_LISTS = 32

Vectors = Float16[np.ndarray, "rows dim"] | Float32[np.ndarray, "rows dim"]
IsStopped = Callable[[], bool]


def settle(unsettled: Unsettled, *, is_stopped: IsStopped = lambda: False) -> SettledVectors:
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
    return build(*unsettled.gather(), is_stopped=is_stopped)


def build(
    rows: Int64[np.ndarray, " rows"],
    vectors: Vectors,
    *,
    is_stopped: IsStopped = lambda: False,
) -> SettledVectors:
    """Make an inverted file from nothing; the same vectors give the same one.

    Args:
        rows: Row of each vector, each once.
        vectors: Unit vectors, at least one.
        is_stopped: Asked now and then whether to give up.

    Raises:
        StoppedError: It was told to.
    """
    faiss.omp_set_num_threads(1)  # of this thread alone: what is served goes first
    n_lists = _wanted_lists(len(rows))
    ivf = _lists_at(_centroids(vectors, n_lists, np.random.default_rng(0), is_stopped))
    lists = _assign(ivf, vectors, is_stopped)
    for number, size in enumerate(np.bincount(lists, minlength=n_lists)):
        _make_room(ivf, number, int(size))
    _add(ivf, rows, vectors, lists, is_stopped)
    return _with_n_probe(ivf, is_stopped)


def grow(before: SettledVectors, unsettled: Unsettled, is_stopped: IsStopped) -> SettledVectors:
    """Make an inverted file with the lists of the one before.

    Raises:
        StoppedError: It was told to.
    """
    faiss.omp_set_num_threads(1)
    rows, vectors = unsettled.recent
    ivf = _lists_at(before.centroids)
    lists = _assign(ivf, vectors, is_stopped)
    for number, n_new in enumerate(np.bincount(lists, minlength=before.n_lists)):
        _check(is_stopped)
        members, halves = before.members(number)
        are_good = find(unsettled.settled_rows, members)
        if not are_good.all():
            members, halves = members[are_good], halves[are_good]
        _make_room(ivf, number, len(members) + int(n_new))
        if len(members):
            codes = halves.view(np.uint8)
            ivf.invlists.add_entries(
                number, len(members), faiss.swig_ptr(members), faiss.swig_ptr(codes)
            )
            ivf.ntotal += len(members)
    _add(ivf, rows, vectors, lists, is_stopped)
    return _with_n_probe(ivf, is_stopped)


def _wanted_lists(n: int) -> int:
    return max(1, min(round(4 * math.sqrt(n)), n // POINTS_PER_CENTROID))


def _lists_at(centroids: Float32[np.ndarray, "lists dim"]) -> Any:
    """Make an inverted file without vectors."""
    n_lists, dim = centroids.shape
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
    return ivf


def _assign(ivf: Any, vectors: Vectors, is_stopped: IsStopped) -> Int64[np.ndarray, " rows"]:
    """Find the list of each vector."""
    lists = np.empty(len(vectors), np.int64)
    for first in range(0, len(vectors), _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        values = np.ascontiguousarray(vectors[batch], np.float32)
        lists[batch] = ivf.quantizer.assign(values, 1)[:, 0]
    return lists


def _make_room(ivf: Any, number: int, size: int) -> None:
    """Give an empty list the room it needs; by itself it would grow to half more."""
    ivf.invlists.resize(number, size)
    ivf.invlists.resize(number, 0)


def _add(
    ivf: Any,
    rows: Int64[np.ndarray, " rows"],
    vectors: Vectors,
    lists: Int64[np.ndarray, " rows"],
    is_stopped: IsStopped,
) -> None:
    for first in range(0, len(rows), _BATCH):
        _check(is_stopped)
        batch = slice(first, first + _BATCH)
        values = np.ascontiguousarray(vectors[batch], np.float32)
        own, given = np.ascontiguousarray(rows[batch]), np.ascontiguousarray(lists[batch])
        ivf.add_core(len(values), *map(faiss.swig_ptr, (values, own, given)))


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


def _with_n_probe(ivf: Any, is_stopped: IsStopped) -> SettledVectors:
    """Choose the fewest lists that hold enough of the ten nearest of trial queries.

    A trial query lies halfway between two clips, as a sound with words added lies between clips:
    such queries are farther from the centroids than the clips are, and than most searches.
    """
    settled = SettledVectors(ivf, int(ivf.nlist))
    pairs = np.random.default_rng(0).integers(0, len(settled), (2, TRIAL_QUERIES))
    rows = settled.rows
    queries = unit(settled.kept(rows[pairs[0]]) + settled.kept(rows[pairs[1]]))
    exact = _nearest(settled, queries, is_stopped)

    def is_enough(n_probe: int) -> bool:
        _check(is_stopped)
        settled.n_probe = n_probe
        found = [settled.search(query, TRIAL_K)[1] for query in queries]
        shares = [np.isin(a, b).sum() / len(b) for a, b in zip(found, exact, strict=True)]
        return bool(np.mean(shares) >= TARGET_RECALL)

    most = 1
    while most < settled.n_lists and not is_enough(most):
        most *= 2
    fewest = most // 2 + 1
    settled.n_probe = fewest + bisect_left(
        range(fewest, min(most, settled.n_lists)), True, key=is_enough
    )
    return settled


def _nearest(
    settled: SettledVectors, queries: Float32[np.ndarray, "queries dim"], is_stopped: IsStopped
) -> Int64[np.ndarray, "queries nearest"]:
    """Return the rows of the nearest of all vectors, for many queries at once."""
    scores = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for first in range(0, settled.n_lists, _LISTS):
        _check(is_stopped)
        numbers = range(first, min(first + _LISTS, settled.n_lists))
        members, vectors = map(np.concatenate, zip(*map(settled.members, numbers), strict=True))
        scores = np.hstack([scores, queries @ vectors.astype(np.float32).T])
        rows = np.hstack([rows, np.broadcast_to(members, (len(queries), len(members)))])
        k = min(TRIAL_K, rows.shape[1])
        if k:
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return rows


def _check(is_stopped: IsStopped) -> None:
    if is_stopped():
        raise StoppedError
