"""The rows of these tests are whole clips, numbered from 1 in the order of their vectors."""

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
HALF = 2e-3  # the same, of values in half precision


def unit_vectors(n: int, seed: int = 0) -> Float32[np.ndarray, "clips dim"]:
    vectors = np.random.default_rng(seed).normal(size=(n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rows(*clips: int) -> np.ndarray:
    return of_whole(np.array(clips, np.int64))


def index_of(vectors: Float32[np.ndarray, "clips dim"]) -> VectorIndex:
    index = VectorIndex(DIM)
    index.add(of_whole(1 + np.arange(len(vectors))), vectors)
    return index


def search(index: VectorIndex, query: np.ndarray, k: int, **options: bool) -> list[int]:
    """Return the numbers of the clips found, best first."""
    found: list[int] = clips_of(index.search(query, k, **options)[1]).tolist()
    return found


def write(index: VectorIndex, path: Path) -> None:
    with path.open("wb") as file:
        index.write(file)


def read(path: Path, dim: int = DIM) -> VectorIndex:
    with path.open("rb") as file:
        return VectorIndex.read(file, dim=dim, revision=12)


def test_a_search_finds_the_highest_inner_products() -> None:
    vectors, queries = unit_vectors(500), unit_vectors(20, seed=1)
    index = index_of(vectors)
    for query in queries:
        scores, ids = index.search(query, 10)
        expected = vectors.astype(np.float64) @ query
        order = np.argsort(-expected)[:10]
        assert clips_of(ids).tolist() == (order + 1).tolist()
        np.testing.assert_allclose(scores, expected[order], atol=ROUNDING)


@pytest.mark.parametrize("k", [1, 2, 5, 39, 40, 41, 60])
def test_equal_scores_are_ordered_by_row_id_whatever_the_order_of_adding(k: int) -> None:
    vectors = unit_vectors(50)
    vectors[5:45] = vectors[5]
    shuffled = np.random.default_rng(2).permutation(50)
    index = VectorIndex(DIM)
    index.add(of_whole(shuffled + 1), vectors[shuffled])
    first, second = (search(made, vectors[5], k) for made in (index_of(vectors), index))
    assert first == second
    assert first[:40] == list(range(6, 46))[:k]


def test_removed_vectors_are_not_found_and_the_others_are() -> None:
    vectors = unit_vectors(50)
    index = index_of(vectors)
    index.remove(rows(3, 4, 999))
    assert len(index) == 48
    for clip, vector in enumerate(vectors, start=1):
        assert (search(index, vector, 1) == [clip]) == (clip not in (3, 4))


def test_removing_from_an_empty_index_is_no_error() -> None:
    index = VectorIndex(DIM)
    index.remove(rows(1))
    index.remove(rows())
    assert len(index) == 0


def test_a_written_index_is_read_back(tmp_path: Path) -> None:
    vectors = unit_vectors(50)
    write(index_of(vectors), tmp_path / "x.faiss")
    again = read(tmp_path / "x.faiss")
    assert (again.revision, len(again)) == (12, 50)
    again.remove(rows(1))
    again.add(rows(51), vectors[:1])
    assert search(again, vectors[0], 1) == [51]


def test_an_index_that_cannot_be_written_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No space left"):
        write(index_of(unit_vectors(1_000)), Path("/dev/full"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    head = b'{"n_probe":1,"n_candidates":1}\n'
    for content in (b"", b"nonsense", b"null\nnonsense", head, b'{"gone":[]}\n'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            read(path)
    write(index_of(unit_vectors(3)), path)
    with pytest.raises(ValueError, match="no flat index of 9"):
        read(path, dim=DIM + 1)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"null\n", head))
    with pytest.raises(ValueError, match="magic string"):
        read(path)
    faiss.write_index(faiss.IndexFlatIP(DIM), str(path))
    path.write_bytes(b"null\n" + path.read_bytes())
    with pytest.raises(ValueError, match="no flat index"):
        read(path)


def test_vectors_are_returned_for_the_row_ids_in_the_index() -> None:
    vectors = unit_vectors(5)
    index = index_of(vectors)
    index.remove(rows(2))

    is_found, found = index.vectors(rows(9, 5, 2, 1))

    assert is_found.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found, vectors[[4, 0]])
    assert index.vectors(rows(7))[1].shape == (0, DIM)
    assert VectorIndex(DIM).vectors(rows(1))[0].tolist() == [False]


@pytest.mark.parametrize(("n", "expected"), [(3, [1, 4, 7]), (10, list(range(1, 11))), (99, None)])
def test_a_sample_is_spaced_evenly_by_row_id(n: int, expected: list[int] | None) -> None:
    vectors = unit_vectors(10)
    index = VectorIndex(DIM)
    order = np.random.default_rng(0).permutation(10)
    index.add(of_whole(order + 1), vectors[order])
    index.add(of_whole(order + 1) + 1, -vectors[order])  # windows, which are no clips

    ids, found = index.sample(n)

    assert clips_of(ids).tolist() == (expected or list(range(1, 11)))
    assert np.array_equal(found, vectors[clips_of(ids) - 1])


# --- with an inverted file -----------------------------------------------------------------------


def rebuild(index: VectorIndex) -> None:
    assert index.needs_rebuild
    index.replace_ivf(build_ivf(index.build_snapshot()))


def ivf_index(n: int) -> tuple[VectorIndex, Float32[np.ndarray, "clips dim"]]:
    """Return an index with an inverted file of n vectors, and the vectors."""
    vectors = unit_vectors(n)
    index = VectorIndex(DIM, exact_below=200)
    index.add(of_whole(1 + np.arange(n)), vectors)
    rebuild(index)
    return index, vectors


def test_an_index_with_an_inverted_file_keeps_its_vectors(tmp_path: Path) -> None:
    index, vectors = ivf_index(1000)
    assert len(index) == 1000
    assert not index.is_exact
    assert not index.needs_rebuild
    index.add(rows(5000), vectors[:1])
    index.remove(rows(4))
    write(index, tmp_path / "index.faiss")
    for made in (index, read(tmp_path / "index.faiss")):
        scores, ids = made.search(vectors[0], 3, exact=True)
        assert set(clips_of(ids[:2])) == {1, 5000}
        assert scores[:2] == pytest.approx(1, abs=HALF)
        is_found, found = made.vectors(rows(5000, 4, 8))
        assert is_found.tolist() == [True, False, True]
        np.testing.assert_allclose(found, vectors[[0, 7]], atol=HALF)
        assert len(made) == 1000


def test_changes_during_a_build_are_kept() -> None:
    vectors = unit_vectors(600)
    index = VectorIndex(DIM, exact_below=200)
    index.add(of_whole(np.arange(500)), vectors[:500])
    snapshot = index.build_snapshot()
    index.remove(rows(1, 2))  # 1 is deleted, 2 gets another vector, 555 is new
    index.add(rows(2, 555), vectors[[550, 555]])
    index.replace_ivf(build_ivf(snapshot))

    assert len(index) == 500
    is_found, found = index.vectors(rows(0, 1, 2, 3, 555))
    assert is_found.tolist() == [True, False, True, True, True]
    np.testing.assert_allclose(found, vectors[[0, 550, 3, 555]], atol=HALF)
    assert search(index, vectors[550], 1, exact=True) == [2]
    assert 1 not in search(index, vectors[1], 20, exact=True)


def test_many_deleted_vectors_need_a_rebuild() -> None:
    index, _ = ivf_index(1000)
    index.remove(of_whole(np.arange(100)))
    assert not index.needs_rebuild
    index.remove(of_whole(np.arange(100, 300)))
    assert index.needs_rebuild


def test_the_row_ids_follow_every_change() -> None:
    index, _ = ivf_index(300)
    expected = set(range(1, 301))
    for change in (
        lambda: index.add(rows(1000), unit_vectors(1)),
        lambda: index.remove(rows(7, 1000)),
        lambda: index.replace_ivf(build_ivf(index.build_snapshot())),
        lambda: index.remove(rows(8)),
    ):
        change()
        assert len(index.ids) == len(index)
    assert clips_of(index.ids).tolist() == sorted(expected - {7, 8})
