from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64
from tiny_library import make_clip

from service.library.library import Library
from service.pictures.map import LibraryMap, pca_2d


def reference(vectors: np.ndarray) -> tuple[Float64[np.ndarray, "clips 2"], float]:
    """Principal components by a singular value decomposition in float64; signs are arbitrary."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * strengths[:2], float((strengths[:2] ** 2).sum() / (strengths**2).sum())


def make_vectors(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return vectors whose spread falls off from one direction to the next."""
    spread = 0.7 ** np.arange(dim)
    return (np.random.default_rng(seed).standard_normal((n, dim)) * spread).astype(np.float32)


@pytest.mark.parametrize(("n", "dim"), [(50, 8), (400, 64), (20, 300), (2, 16)])
def test_coordinates_are_the_first_two_principal_components(n: int, dim: int) -> None:
    vectors = make_vectors(n, dim)
    expected, expected_share = reference(vectors)

    positions, shown = pca_2d(vectors)

    signs = np.sign((positions * expected).sum(axis=0))
    assert np.abs(positions - expected * signs).max() < 1e-3 * np.abs(expected).max()
    assert shown == pytest.approx(expected_share, rel=1e-3)
    assert (positions.max(axis=0) >= -positions.min(axis=0)).all()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_equal_vectors_have_one_position(n: int) -> None:
    positions, shown = pca_2d(np.ones((n, 7), np.float32))

    assert positions.shape == (n, 2)
    assert not positions.any()
    assert shown == 0


@pytest.fixture
def filled(library: Library) -> Library:
    library.writer.put_many([make_clip(f"c{seed}", seed, stored=False) for seed in range(12)])
    return library


def test_every_clip_is_on_the_map(filled: Library) -> None:
    drawn = LibraryMap(filled).map()

    assert [record.id for record in drawn.records] == [f"c{seed}" for seed in range(12)]
    assert drawn.positions.shape == (12, 2)
    assert np.abs(drawn.positions).max() == pytest.approx(1)
    assert 0 < drawn.shown <= 1


def test_a_large_library_is_sampled_evenly(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.pictures.map.MAX_POINTS", 4)

    drawn = LibraryMap(filled).map()

    assert [record.id for record in drawn.records] == ["c0", "c3", "c6", "c9"]
    assert (drawn.n_clips, drawn.revision) == (12, filled.catalog.revision())


def test_equal_sounds_have_one_position(filled: Library) -> None:
    filled.writer.put(make_clip("again", 3, stored=False))

    positions = LibraryMap(filled).map().positions

    np.testing.assert_allclose(positions[3], positions[12], atol=1e-6)


def test_the_map_is_cached_until_the_library_changes(filled: Library) -> None:
    library_map = LibraryMap(filled)
    before = library_map.map()

    assert library_map.map() is before
    filled.writer.delete("c5")
    assert "c5" not in [record.id for record in library_map.map().records]


def test_an_empty_library_has_an_empty_map(library: Library) -> None:
    drawn = LibraryMap(library).map()

    assert (drawn.records, drawn.n_clips, drawn.shown) == ([], 0, 0.0)
