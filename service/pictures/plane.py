"""Vectors laid out on a plane: their two principal components."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

_BLOCK = 8
_MAX_ROUNDS = 40
_TOLERANCE = 1e-5


def pca_2d(
    vectors: Float32[np.ndarray, "clips dim"],
) -> tuple[Float32[np.ndarray, "clips 2"], float]:
    """Project vectors on the two directions in which they differ most (PCA).

    Found by subspace iteration, whose cost grows with the number of vectors only linearly. The
    same vectors give the same layout: the start is fixed, and of each direction's two signs the
    one is taken in which its largest entry is positive.

    Args:
        vectors: Any number of them, none included.

    Returns:
        The positions, relative to the mean, and the share of the variance that they show, 0..1.
    """
    centred = vectors - vectors.mean(axis=0) if len(vectors) else vectors
    variance = float(np.square(centred, dtype=np.float64).sum())
    if variance <= 1e-12 * max(1, len(vectors)):
        return np.zeros((len(vectors), 2), np.float32), 0.0
    positions = centred @ _directions(centred)
    shown = float(np.square(positions, dtype=np.float64).sum()) / variance
    return positions, min(1.0, shown)


def _directions(centred: Float32[np.ndarray, "clips dim"]) -> Float32[np.ndarray, "dim 2"]:
    n, dim = centred.shape
    start = np.random.default_rng(0).standard_normal((dim, min(_BLOCK, dim, n)))
    basis, _ = np.linalg.qr(start.astype(np.float32))
    before = np.zeros(basis.shape[1], np.float32)
    for _ in range(_MAX_ROUNDS):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
        _, strengths, turn = np.linalg.svd(centred @ basis, full_matrices=False)
        if np.abs(strengths - before)[:2].max() <= _TOLERANCE * strengths[0]:
            break
        before = strengths
    directions = np.zeros((dim, 2), np.float32)
    found = (basis @ turn.T)[:, :2]
    directions[:, : found.shape[1]] = found
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(2)]
    signed: Float32[np.ndarray, "dim 2"] = directions * np.where(largest < 0, -1, 1)
    return signed.astype(np.float32)
