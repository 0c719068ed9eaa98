from __future__ import annotations

import io

import numpy as np
import pytest
from clustered import clustered

from service.concurrency.background_task import StoppedError
from service.difference import l2_normalize
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_builder import OUTGROWN, build, build_ivf
from service.index.ivf_tuning import TARGET_RECALL
from service.index.vector_index import BuildSnapshot, VectorIndex

DIM = 32
HALF = 2e-3  # sums of products of numbers in half precision


def after(before: IvfRaBitQIndex | None, n_before: int, vectors: np.ndarray) -> BuildSnapshot:
    """Say that an index held a file with the first vectors, and lately got the others."""
    rows = np.arange(len(vectors))
    good = before.rows if before else rows[:0]
    return BuildSnapshot((rows[n_before:], vectors[n_before:]), before, good)


def written(settled: IvfRaBitQIndex) -> bytes:
    file = io.BytesIO()
    settled.write(file)
    return file.getvalue()


def test_the_same_vectors_make_the_same_file() -> None:
    small = clustered(2_000, DIM)
    rows = np.arange(2_000)
    assert written(build(rows, small)) == written(build(rows, small))


@pytest.mark.parametrize("n", [1, 2, 41])
def test_few_vectors_can_be_settled_too(n: int) -> None:
    settled = build(np.arange(n), clustered(n, DIM))
    assert sorted(settled.search(clustered(1, DIM)[0], 50)[1]) == list(range(n))


def test_what_came_is_taken_in_and_what_went_is_left_out() -> None:
    vectors = clustered(6_000, DIM)
    before = build(np.arange(5_000), vectors[:5_000])
    before.remove(np.arange(0, 5_000, 7))
    grown = build_ivf(after(before, 5_000, vectors))
    expected = np.setdiff1d(np.arange(6_000), np.arange(0, 5_000, 7))
    assert grown.rows.tolist() == expected.tolist()
    assert grown.n_gone == 0
    _, kept = grown.vectors(expected)
    np.testing.assert_allclose(kept, vectors[expected], atol=HALF)


def test_a_grown_file_finds_what_one_from_nothing_would() -> None:
    vectors = clustered(20_000, DIM)
    before = build(np.arange(14_000), vectors[:14_000])
    grown = build_ivf(after(before, 14_000, vectors))
    np.testing.assert_array_equal(grown.centroids, before.centroids)
    a, b = np.random.default_rng(7).integers(0, len(vectors), (2, 100))
    recalls = []
    for query in l2_normalize(vectors[a] + vectors[b]):
        true = np.argsort(-(vectors.astype(np.float64) @ query), kind="stable")[:10]
        recalls.append(np.isin(grown.search(query, 10)[1], true).mean())
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


@pytest.mark.parametrize("n", [6_000, 40_000])
def test_lists_move_when_many_more_or_fewer_are_asked_for(n: int) -> None:
    vectors = clustered(n, DIM)
    n_before = 16_000 if n < 16_000 else 10_000
    before = build(np.arange(n_before), clustered(n_before, DIM, seed=2))
    before.remove(np.arange(n_before))
    settled = build_ivf(after(before, 0, vectors))
    ratio = settled.n_lists / before.n_lists
    assert ratio > OUTGROWN or ratio < 1 / OUTGROWN
    assert settled.rows.tolist() == list(range(n))


def test_an_index_grows_and_grows_and_forgets_nothing() -> None:
    vectors = clustered(4_000, DIM)
    index = VectorIndex(DIM, exact_below=500)
    for first in range(0, 4_000, 250):
        index.add(np.arange(first, first + 250), vectors[first : first + 250])
        index.remove([first + 3])
        if index.needs_rebuild:
            index.build_ivf(build_ivf(index.unsettled()))
    expected = np.setdiff1d(np.arange(4_000), np.arange(3, 4_000, 250))
    assert index.rows.tolist() == expected.tolist()
    for row in (0, 252, 3_999):
        assert index.search(vectors[row], 1, exact=True)[1].tolist() == [row]


@pytest.mark.parametrize("n_before", [0, 1_900])
def test_it_gives_up_when_it_is_told_to(n_before: int) -> None:
    vectors = clustered(2_000, DIM)
    before = build(np.arange(n_before), vectors[:n_before]) if n_before else None
    asked = iter([False] * 3 + [True] * 100)
    with pytest.raises(StoppedError):
        build_ivf(after(before, n_before, vectors), is_stopped=lambda: next(asked))


def test_it_does_not_matter_which_dimensions_tell_vectors_apart() -> None:
    weights = 1 / np.arange(1, 257, dtype=np.float32)
    few_tell = l2_normalize(clustered(4_000, 256) * weights)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 256)))[0]
    all_tell = (few_tell @ rotation).astype(np.float32)
    rows = np.arange(4_000)
    assert build(rows, few_tell).n_candidates <= build(rows, all_tell).n_candidates
