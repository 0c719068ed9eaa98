from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from clustered import clustered, halfway, nearest_ids, recall
from jaxtyping import Float32

from service.index.ivf import IvfParameters, IvfRaBitQIndex
from service.index.ivf_builder import build_ivf
from service.index.ivf_tuning import TARGET_RECALL
from service.index.vector_index import BuildSnapshot
from service.row_ids import clips_of, of_whole

DIM = 32
N = 20_000
STEP = 3  # every third number is that of a clip
IDS = of_whole(np.arange(N) * STEP)
HALF = 2e-3  # sums of products of numbers in half precision


@pytest.fixture(scope="module")
def vectors() -> Float32[np.ndarray, "clips dim"]:
    return clustered(N, DIM)


@pytest.fixture
def ivf(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> IvfRaBitQIndex:
    """Build once, and give every test an index of its own."""
    cached = tmp_path_factory.getbasetemp() / "ivf"
    if not cached.exists():
        built = build_ivf(BuildSnapshot(IDS, vectors))
        with cached.open("wb") as file:
            parameters = built.parameters
            file.write(f"{parameters.n_probe} {parameters.n_candidates}\n".encode())
            built.write(file)
    with cached.open("rb") as file:
        n_probe, n_candidates = map(int, file.readline().split())
        return IvfRaBitQIndex.read(file, DIM, IvfParameters(n_probe, n_candidates))


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_queries_between_clips_find_nearly_all_of_the_nearest(
    ivf: IvfRaBitQIndex, vectors: np.ndarray, k: int
) -> None:
    recalls = [
        recall(ivf.search(query, k)[1], IDS[nearest_ids(vectors, query, k)])
        for query in halfway(vectors)
    ]
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


def test_fewer_hits_are_the_first_of_more(ivf: IvfRaBitQIndex, vectors: np.ndarray) -> None:
    for query in halfway(vectors):
        np.testing.assert_array_equal(ivf.search(query, 3)[1], ivf.search(query, 10)[1][:3])


def test_scores_are_inner_products_in_descending_order(
    ivf: IvfRaBitQIndex, vectors: np.ndarray
) -> None:
    for query in halfway(vectors, 10):
        scores, ids = ivf.search(query, 25)
        np.testing.assert_allclose(scores, vectors[clips_of(ids) // STEP] @ query, atol=HALF)
        assert (np.diff(scores) <= 0).all()
        assert len(scores) == 25


def test_an_exact_search_finds_all_of_the_nearest(ivf: IvfRaBitQIndex, vectors: np.ndarray) -> None:
    half = vectors.astype(np.float16).astype(np.float32)
    for query in halfway(vectors, 10):
        _, ids = ivf.search(query, 10, exact=True)
        assert recall(ids, IDS[nearest_ids(half, query, 10)]) == 1.0


@pytest.mark.parametrize("n_allowed", [3, 200, 6_000, N])
def test_a_filter_does_not_lower_the_recall(
    ivf: IvfRaBitQIndex, vectors: np.ndarray, n_allowed: int
) -> None:
    allowed = np.sort(np.random.default_rng(3).permutation(N)[:n_allowed])
    recalls = []
    for query in halfway(vectors, 30):
        _, ids = ivf.search(query, 10, allowed=allowed * STEP)
        assert np.isin(ids, IDS[allowed]).all()
        recalls.append(recall(ids, IDS[allowed[nearest_ids(vectors[allowed], query, 10)]]))
    assert np.mean(recalls) >= TARGET_RECALL - 0.02


def test_deleted_vectors_are_not_found_with_or_without_a_filter(
    ivf: IvfRaBitQIndex, vectors: np.ndarray
) -> None:
    query = vectors[5]
    _, before = ivf.search(query, 10)
    unknown = of_whole(np.array([1, 10**9]))
    ivf.remove(np.concatenate([before[:4], before[:2], unknown]))
    assert len(ivf) == N - 4
    assert ivf.n_deleted == 4
    for allowed in (None, clips_of(before), clips_of(ivf.ids)):
        for exact in (False, True):
            _, after = ivf.search(query, 10, allowed=allowed, exact=exact)
            assert not np.isin(before[:4], after).any()
    is_found, found = ivf.vectors(np.append(before[:6], unknown))
    assert is_found.tolist() == [False] * 4 + [True] * 2 + [False] * 2
    np.testing.assert_allclose(found, vectors[clips_of(before[4:6]) // STEP], atol=HALF)
    assert not np.isin(before[:4], ivf.ids).any()
    assert ivf.of_clips(clips_of(before[:6])).tolist() == sorted(before[4:6])


def test_a_deletion_does_not_look_at_every_vector(ivf: IvfRaBitQIndex) -> None:
    """All searches wait for a deletion. A copy of all row ids would take 8 bytes of each."""
    tracemalloc.start()
    ivf.remove(IDS[77:78])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not ivf.holds(IDS[77:78]).any()
    assert peak_bytes < N


def test_a_file_of_other_vectors_is_refused(ivf: IvfRaBitQIndex) -> None:
    file = io.BytesIO()
    ivf.write(file)
    with pytest.raises(ValueError, match="16 dimensions"):
        IvfRaBitQIndex.read(io.BytesIO(file.getvalue()), 16, ivf.parameters)


def test_an_index_that_was_read_outlives_its_file(tmp_path: Path, vectors: np.ndarray) -> None:
    built = build_ivf(BuildSnapshot(IDS[:1_000], vectors[:1_000]))
    built.remove(IDS[3:5])
    path = tmp_path / "x"
    path.write_bytes(b"before it")
    with path.open("ab") as file:
        built.write(file)
    with path.open("rb") as file:
        file.seek(len(b"before it"))
        read = IvfRaBitQIndex.read(file, DIM, built.parameters)
    path.unlink()
    assert read.ids.tolist() == built.ids.tolist()
    for query in halfway(vectors[:1_000], 10):
        for actual, expected in zip(read.search(query, 10), built.search(query, 10), strict=True):
            np.testing.assert_array_equal(actual, expected)
