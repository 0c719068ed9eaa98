from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64

from service.pictures.plane import pca_2d


def reference(vectors: np.ndarray) -> tuple[Float64[np.ndarray, "clips 2"], float]:
    """Principal components by a full decomposition in float64, signs left open."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * strengths[:2], float((strengths[:2] ** 2).sum() / (strengths**2).sum())


def make_vectors(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return vectors whose spread falls off from one direction to the next."""
    spread = 0.7 ** np.arange(dim)
    return (np.random.default_rng(seed).standard_normal((n, dim)) * spread).astype(np.float32)


@pytest.mark.parametrize(("n", "dim"), [(50, 8), (400, 64), (20, 300)])
def test_positions_are_the_principal_components(n: int, dim: int) -> None:
    vectors = make_vectors(n, dim)
    wanted, wanted_share = reference(vectors)

    positions, shown = pca_2d(vectors)

    signs = np.sign((positions * wanted).sum(axis=0))
    assert np.abs(positions - wanted * signs).max() < 1e-2 * np.abs(wanted).max()
    assert shown == pytest.approx(wanted_share, rel=1e-3)


def test_the_same_vectors_give_the_same_bits() -> None:
    vectors = make_vectors(200, 32)

    assert np.array_equal(pca_2d(vectors)[0], pca_2d(vectors.copy())[0])


def test_distant_groups_stay_apart() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 16, dtype=np.float32) * 10
    vectors = np.concatenate([c + rng.standard_normal((30, 16)) for c in centres])

    positions, _ = pca_2d(vectors.astype(np.float32))

    groups = positions.reshape(3, 30, 2)
    apart = np.linalg.norm(groups.mean(axis=1)[:, None] - groups.mean(axis=1)[None], axis=2)
    assert apart[np.triu_indices(3, 1)].min() > 3 * groups.std(axis=1).max()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_where_nothing_differs_all_lie_at_one_place(n: int) -> None:
    positions, shown = pca_2d(np.ones((n, 7), np.float32))

    assert positions.shape == (n, 2)
    assert not positions.any()
    assert shown == 0


@pytest.mark.parametrize(("n", "dim"), [(2, 16), (3, 1)])
def test_fewer_than_two_directions_still_make_a_plane(n: int, dim: int) -> None:
    vectors = make_vectors(n, dim)

    positions, shown = pca_2d(vectors)

    assert np.isfinite(positions).all()
    assert shown == pytest.approx(1)
    apart = np.linalg.norm(positions[0] - positions[1])
    assert apart == pytest.approx(np.linalg.norm(vectors[0] - vectors[1]), rel=1e-3)
