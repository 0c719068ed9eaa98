from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from jaxtyping import Float32

from service.index.ivf_builder import build_ivf
from service.index.vector_index import VectorIndex
from service.row_ids import clips_of, of_whole

DIM = 8
# Float32 sums of 8 products of values below one.
ROUNDING = 1e-6


def unit_vectors(n: int, seed: int = 0) -> Float32[np.ndarray, "clips dim"]:
    vectors = np.random.default_rng(seed).normal(size=(n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def index_of(vectors: Float32[np.ndarray, "clips dim"], first: int = 1) -> VectorIndex:
    index = VectorIndex(DIM)
    index.add(np.arange(first, first + len(vectors)), vectors)
    return index


def test_search_is_brute_force() -> None:
    vectors, queries = unit_vectors(500), unit_vectors(20, seed=1)
    index = index_of(vectors)
    for query in queries:
        scores, seqs = index.search(query, 10)
        expected = vectors.astype(np.float64) @ query
        order = np.argsort(-expected)[:10]
        assert seqs.tolist() == (order + 1).tolist()
        np.testing.assert_allclose(scores, expected[order], atol=ROUNDING)


def test_k_beyond_the_clips_there_are_gives_them_all() -> None:
    vectors = unit_vectors(5)
    assert sorted(index_of(vectors).search(vectors[0], 100)[1]) == [1, 2, 3, 4, 5]
    assert len(VectorIndex(DIM).search(vectors[0], 3)[1]) == 0


def test_search_among_few_still_gives_k_of_them() -> None:
    vectors = unit_vectors(300)
    far = np.argsort(vectors @ vectors[0])[:7] + 1
    scores, seqs = index_of(vectors).search(vectors[0], 5, among=far)
    assert seqs.tolist() == far[:1:-1].tolist()
    assert (np.diff(scores) <= 0).all()


def test_search_among_none_gives_none() -> None:
    vectors = unit_vectors(5)
    for among in ([], [77]):
        assert len(index_of(vectors).search(vectors[0], 5, among=np.array(among, int))[1]) == 0


@pytest.mark.parametrize("k", [1, 2, 5, 39, 40, 41, 60])
def test_equal_scores_are_ordered_by_number_however_they_came(k: int) -> None:
    vectors = unit_vectors(50)
    vectors[5:45] = vectors[5]
    shuffled = np.random.default_rng(2).permutation(50)
    index = VectorIndex(DIM)
    index.add(shuffled + 1, vectors[shuffled])
    first, second = (found.search(vectors[5], k)[1] for found in (index_of(vectors), index))
    assert first.tolist() == second.tolist()
    assert first[:40].tolist() == list(range(6, 46))[:k]


def test_removed_clips_are_not_found_and_the_others_are() -> None:
    vectors = unit_vectors(50)
    index = index_of(vectors)
    index.remove([3, 4, 999])
    assert len(index) == 48
    for seq, vector in enumerate(vectors, start=1):
        assert (index.search(vector, 1)[1][0] == seq) == (seq not in (3, 4))


def test_removing_from_an_empty_index_is_no_error() -> None:
    index = VectorIndex(DIM)
    index.remove([1])
    index.remove(np.array([], np.int64))
    assert len(index) == 0


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    vectors = unit_vectors(50)
    index_of(vectors).write(tmp_path / "x.faiss")
    again = VectorIndex.read(tmp_path / "x.faiss", dim=DIM, revision=12)
    assert (again.revision, len(again)) == (12, 50)
    again.remove([1])
    again.add(np.array([51]), vectors[:1])
    assert again.search(vectors[0], 1)[1].tolist() == [51]


def test_index_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        VectorIndex(DIM).write(tmp_path / "nowhere" / "x.faiss")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        VectorIndex.read(path, dim=DIM, revision=0)
    path.write_bytes(b"null\nnonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        VectorIndex.read(path, dim=DIM, revision=0)
    index_of(unit_vectors(3)).write(path)
    with pytest.raises(ValueError, match="no flat index of 9"):
        VectorIndex.read(path, dim=DIM + 1, revision=0)
    faiss.write_index(faiss.IndexFlatIP(DIM), str(path))
    path.write_bytes(b"null\n" + path.read_bytes())
    with pytest.raises(ValueError, match="no flat index"):
        VectorIndex.read(path, dim=DIM, revision=0)


def test_vectors_are_given_back_for_the_numbers_that_are_there() -> None:
    vectors = unit_vectors(5)
    index = index_of(vectors)
    index.remove([2])

    is_there, found = index.vectors(np.array([9, 5, 2, 1]))

    assert is_there.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found, vectors[[4, 0]])
    assert index.vectors(np.array([7]))[1].shape == (0, DIM)
    assert VectorIndex(DIM).vectors(np.array([1]))[0].tolist() == [False]


@pytest.mark.parametrize(("n", "expected"), [(3, [1, 4, 7]), (10, list(range(1, 11))), (99, None)])
def test_a_sample_is_spaced_evenly_by_number(n: int, expected: list[int] | None) -> None:
    vectors = unit_vectors(10)
    index = VectorIndex(DIM)
    order = np.random.default_rng(0).permutation(10)
    index.add(of_whole(order + 1), vectors[order])
    index.add(of_whole(order + 1) + 1, -vectors[order])  # windows, which are no clips

    rows, found = index.sample(n)

    assert clips_of(rows).tolist() == (expected or list(range(1, 11)))
    assert np.array_equal(found, vectors[clips_of(rows) - 1])


def test_a_sample_of_nothing_is_empty() -> None:
    seqs, vectors = VectorIndex(DIM).sample(5)

    assert (len(seqs), vectors.shape) == (0, (0, DIM))


# --- grown beyond what is searched exactly -------------------------------------------------------


def grown(n: int, exact_below: int = 200) -> tuple[VectorIndex, Float32[np.ndarray, "clips dim"]]:
    """Make an index whose first n vectors are settled."""
    vectors = unit_vectors(n)
    index = VectorIndex(DIM, exact_below=exact_below)
    index.add(np.arange(n), vectors)
    assert index.needs_rebuild
    index.build_ivf(build_ivf(index.unsettled()))
    return index, vectors


def test_a_settled_index_holds_what_it_held(tmp_path: Path) -> None:
    index, vectors = grown(1000)
    assert len(index) == 1000
    assert not index.is_exact
    assert not index.needs_rebuild
    index.add(np.array([5000]), vectors[:1])
    index.remove([3])
    index.write(tmp_path / "index.faiss")
    for one in (index, VectorIndex.read(tmp_path / "index.faiss", dim=DIM, revision=4)):
        scores, seqs = one.search(vectors[0], 3, exact=True)
        assert set(seqs[:2]) == {0, 5000}
        assert scores[:2] == pytest.approx(1, abs=2e-3)
        is_there, found = one.vectors(np.array([5000, 3, 7]))
        assert is_there.tolist() == [True, False, True]
        np.testing.assert_allclose(found, vectors[[0, 7]], atol=2e-3)
        assert len(one) == 1000


def test_what_changes_while_it_is_settled_keeps_its_change() -> None:
    vectors = unit_vectors(600)
    index = VectorIndex(DIM, exact_below=200)
    index.add(np.arange(500), vectors[:500])
    unsettled = index.unsettled()
    index.remove([1, 2])  # 1 is deleted, 2 is moved, 555 is new
    index.add(np.array([2, 555]), vectors[[550, 555]])
    index.build_ivf(build_ivf(unsettled))

    assert len(index) == 500
    everything = np.array([0, 1, 2, 3, 555])
    is_there, found = index.vectors(everything)
    assert is_there.tolist() == [True, False, True, True, True]
    np.testing.assert_allclose(found, vectors[[0, 550, 3, 555]], atol=2e-3)
    assert index.search(vectors[550], 1, exact=True)[1].tolist() == [2]
    assert 1 not in index.search(vectors[1], 20, exact=True)[1]


def test_it_is_settled_again_with_what_came_and_without_what_went() -> None:
    index, vectors = grown(500)
    more = unit_vectors(300, seed=9)
    index.add(np.arange(1000, 1300), more)
    index.remove(np.arange(100))
    assert index.needs_rebuild
    index.build_ivf(build_ivf(index.unsettled()))
    assert len(index) == 700
    assert not index.needs_rebuild
    assert index.search(more[5], 1, exact=True)[1].tolist() == [1005]
    assert 7 not in index.search(vectors[7], 50, exact=True)[1]


def test_many_that_went_ask_for_settling() -> None:
    index, _ = grown(1000)
    index.remove(np.arange(100))
    assert not index.needs_rebuild
    index.remove(np.arange(100, 300))
    assert index.needs_rebuild
