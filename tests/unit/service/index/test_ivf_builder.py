from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from clustered import clustered, halfway, nearest_ids, recall

from service.concurrency.background_task import StoppedError
from service.difference import l2_normalize
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_builder import OUTGROWN, build_ivf
from service.index.ivf_tuning import TARGET_RECALL
from service.index.vector_index import BuildSnapshot, VectorIndex
from service.row_ids import of_whole

DIM = 32
HALF = 2e-3  # sums of products of numbers in half precision


def build(vectors: np.ndarray) -> IvfRaBitQIndex:
    return build_ivf(BuildSnapshot(np.arange(len(vectors)), vectors))


def snapshot(before: IvfRaBitQIndex | None, n_before: int, vectors: np.ndarray) -> BuildSnapshot:
    """Return a snapshot with the first vectors in an inverted file, and the others recent."""
    recent = BuildSnapshot(np.arange(n_before, len(vectors)), vectors[n_before:])
    return replace(recent, ivf=before, ivf_positions=before.positions) if before else recent


def written(ivf: IvfRaBitQIndex) -> bytes:
    file = io.BytesIO()
    ivf.write(file)
    return file.getvalue()


def test_equal_vectors_give_equal_files() -> None:
    vectors = clustered(2_000, DIM)
    assert written(build(vectors)) == written(build(vectors))


@pytest.mark.parametrize("n", [1, 2, 41])
def test_a_file_of_a_few_vectors_finds_them_all(n: int) -> None:
    ivf = build(clustered(n, DIM))
    assert sorted(ivf.search(clustered(1, DIM)[0], 50)[1]) == list(range(n))


def test_a_new_build_has_the_recent_vectors_and_not_the_deleted_ones() -> None:
    vectors = clustered(6_000, DIM)
    before = build(vectors[:5_000])
    before.remove(np.arange(0, 5_000, 7))
    after = build_ivf(snapshot(before, 5_000, vectors))
    expected = np.setdiff1d(np.arange(6_000), np.arange(0, 5_000, 7))
    assert after.ids.tolist() == expected.tolist()
    assert after.n_deleted == 0
    _, found = after.vectors(expected)
    np.testing.assert_allclose(found, vectors[expected], atol=HALF)


def test_vectors_deleted_since_the_snapshot_are_still_built() -> None:
    """The index removes them when it takes the file, see `VectorIndex.replace_ivf`."""
    vectors = clustered(2_000, DIM)
    before = build(vectors[:1_900])
    taken = snapshot(before, 1_900, vectors)
    before.remove(np.arange(100))
    assert build_ivf(taken).ids.tolist() == list(range(2_000))


@pytest.mark.parametrize("n_candidates", [None, 1])
def test_reused_lists_find_what_new_ones_would(n_candidates: int | None) -> None:
    """Candidates that became too few are raised, and not all lists are visited instead."""
    vectors = clustered(20_000, DIM)
    before = build(vectors[:14_000])
    if n_candidates is not None:
        before.parameters = replace(before.parameters, n_candidates=n_candidates)
    after = build_ivf(snapshot(before, 14_000, vectors))
    np.testing.assert_array_equal(after.centroids, before.centroids)
    assert after.parameters.n_probe < after.n_lists / 2
    recalls = [
        recall(after.search(query, 10)[1], nearest_ids(vectors, query, 10))
        for query in halfway(vectors)
    ]
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


@pytest.mark.parametrize("n", [6_000, 40_000])
def test_lists_are_made_anew_when_many_more_or_fewer_are_wanted(n: int) -> None:
    vectors = clustered(n, DIM)
    n_before = 16_000 if n < 16_000 else 10_000
    before = build(clustered(n_before, DIM, seed=2))
    before.remove(np.arange(n_before))
    after = build_ivf(snapshot(before, 0, vectors))
    ratio = after.n_lists / before.n_lists
    assert ratio > OUTGROWN or ratio < 1 / OUTGROWN
    assert after.ids.tolist() == list(range(n))


def test_an_index_that_is_built_again_and_again_loses_no_vector() -> None:
    vectors = clustered(4_000, DIM)
    index = VectorIndex(DIM, exact_below=500)
    for first in range(0, 4_000, 250):
        index.add(of_whole(np.arange(first, first + 250)), vectors[first : first + 250])
        index.remove(of_whole(np.array([first + 3])))
        if index.needs_rebuild:
            index.replace_ivf(build_ivf(index.build_snapshot()))
    expected = np.setdiff1d(np.arange(4_000), np.arange(3, 4_000, 250))
    assert index.ids.tolist() == of_whole(expected).tolist()
    for n in (0, 252, 3_999):
        assert index.search(vectors[n], 1, exact=True)[1].tolist() == [n * 2**20]


@pytest.mark.parametrize("n_before", [0, 1_900])
def test_a_build_gives_up_when_it_is_stopped(n_before: int) -> None:
    vectors = clustered(2_000, DIM)
    before = build(vectors[:n_before]) if n_before else None
    answers = iter([False] * 3 + [True] * 100)
    with pytest.raises(StoppedError):
        build_ivf(snapshot(before, n_before, vectors), is_stopped=lambda: next(answers))


def test_vectors_that_vary_in_few_dimensions_need_no_more_candidates() -> None:
    weights = 1 / np.arange(1, 257, dtype=np.float32)
    few_dimensions = l2_normalize(clustered(4_000, 256) * weights)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 256)))[0]
    all_dimensions = (few_dimensions @ rotation).astype(np.float32)
    n_candidates = [
        build(vectors).parameters.n_candidates for vectors in (few_dimensions, all_dimensions)
    ]
    assert n_candidates[0] <= n_candidates[1]
