from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from clustered import clustered
from jaxtyping import Float32

from service.difference import l2_normalize
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_builder import build
from service.index.ivf_tuning import TARGET_RECALL

DIM = 32
N = 20_000
HALF = 2e-3  # sums of products of numbers in half precision


@pytest.fixture(scope="module")
def vectors() -> Float32[np.ndarray, "clips dim"]:
    return clustered(N, DIM)


@pytest.fixture
def settled(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> IvfRaBitQIndex:
    """Build once, and give every test an index of its own."""
    cached = tmp_path_factory.getbasetemp() / "settled"
    if not cached.exists():
        made = build(np.arange(N) * 3, vectors)
        with cached.open("wb") as file:
            file.write(f"{made.n_probe} {made.n_candidates}\n".encode())
            made.write(file)
    with cached.open("rb") as file:
        n_probe, n_candidates = map(int, file.readline().split())
        return IvfRaBitQIndex.read(file, DIM, n_probe=n_probe, n_candidates=n_candidates)


def composed(vectors: np.ndarray, n: int = 100) -> Float32[np.ndarray, "queries dim"]:
    a, b = np.random.default_rng(7).integers(0, len(vectors), (2, n))
    return l2_normalize(vectors[a] + vectors[b])


def recall(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.isin(true, found).mean())


def nearest(vectors: np.ndarray, query: np.ndarray, seqs: np.ndarray, k: int) -> np.ndarray:
    return seqs[np.argsort(-(vectors.astype(np.float64) @ query), kind="stable")[:k]]


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_composed_queries_find_nearly_all_of_what_is_nearest(
    settled: IvfRaBitQIndex, vectors: np.ndarray, k: int
) -> None:
    seqs = np.arange(N) * 3
    recalls = [
        recall(settled.search(query, k)[1], nearest(vectors, query, seqs, k))
        for query in composed(vectors)
    ]
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


def test_fewer_hits_are_the_first_of_more(settled: IvfRaBitQIndex, vectors: np.ndarray) -> None:
    for query in composed(vectors):
        np.testing.assert_array_equal(settled.search(query, 3)[1], settled.search(query, 10)[1][:3])


def test_scores_are_inner_products_and_the_order_is_theirs(
    settled: IvfRaBitQIndex, vectors: np.ndarray
) -> None:
    for query in composed(vectors, 10):
        scores, seqs = settled.search(query, 25)
        np.testing.assert_allclose(scores, vectors[seqs // 3] @ query, atol=HALF)
        assert (np.diff(scores) <= 0).all()
        assert len(scores) == 25


def test_a_search_can_be_exact(settled: IvfRaBitQIndex, vectors: np.ndarray) -> None:
    half = vectors.astype(np.float16).astype(np.float32)
    for query in composed(vectors, 10):
        _, seqs = settled.search(query, 10, exact=True)
        assert recall(seqs, nearest(half, query, np.arange(N) * 3, 10)) == 1.0


@pytest.mark.parametrize("n_pass", [3, 200, 6_000, N])
def test_a_filter_keeps_its_recall_however_few_pass(
    settled: IvfRaBitQIndex, vectors: np.ndarray, n_pass: int
) -> None:
    rows = np.sort(np.random.default_rng(3).permutation(N)[:n_pass])
    recalls = []
    for query in composed(vectors, 30):
        _, seqs = settled.search(query, 10, among=rows * 3)
        true = nearest(vectors[rows], query, rows * 3, 10)
        assert np.isin(seqs, rows * 3).all()
        recalls.append(recall(seqs, true))
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


def test_what_is_gone_is_not_found_with_or_without_a_filter(
    settled: IvfRaBitQIndex, vectors: np.ndarray
) -> None:
    query = vectors[5]
    _, before = settled.search(query, 10)
    settled.remove(np.append(before[:4], [1, 10**9]))
    assert len(settled) == N - 4
    assert settled.n_gone == 4
    for among in (None, before, settled.rows):
        _, after = settled.search(query, 10, among=among)
        assert not np.isin(before[:4], after).any()
    is_there, kept = settled.vectors(before[:6])
    assert is_there.tolist() == [False] * 4 + [True] * 2
    np.testing.assert_allclose(kept, vectors[before[4:6] // 3], atol=HALF)
    assert not np.isin(before[:4], settled.rows).any()


def test_a_file_of_something_else_is_refused(settled: IvfRaBitQIndex) -> None:
    file = io.BytesIO()
    settled.write(file)
    with pytest.raises(ValueError, match="16 dimensions"):
        IvfRaBitQIndex.read(io.BytesIO(file.getvalue()), 16)


def test_what_was_read_outlives_its_file(tmp_path: Path, vectors: np.ndarray) -> None:
    made = build(np.arange(1_000), vectors[:1_000])
    path = tmp_path / "x"
    path.write_bytes(b"before it")
    with path.open("ab") as file:
        made.write(file)
    with path.open("rb") as file:
        file.seek(len(b"before it"))
        read = IvfRaBitQIndex.read(file, DIM, n_probe=made.n_probe, n_candidates=made.n_candidates)
    path.unlink()
    for query in composed(vectors, 10):
        for there, here in zip(read.search(query, 10), made.search(query, 10), strict=True):
            np.testing.assert_array_equal(there, here)
