"""Vectors in clusters, as the clips of a library are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from service.difference import l2_normalize


def clustered(n: int, dim: int, seed: int = 0) -> Float32[np.ndarray, "clips dim"]:
    """Return random unit vectors in 200 clusters, whose centres are the same for every seed."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(200, dim))
    points = centres[random.integers(0, 200, n)] + 0.6 * random.normal(size=(n, dim))
    return l2_normalize(points.astype(np.float32))


def halfway(
    vectors: Float32[np.ndarray, "clips dim"], n: int = 100
) -> Float32[np.ndarray, "queries dim"]:
    """Return unit queries that each lie halfway between two of the vectors."""
    a, b = np.random.default_rng(7).integers(0, len(vectors), (2, n))
    return l2_normalize(vectors[a] + vectors[b])


def nearest_ids(
    vectors: Float32[np.ndarray, "clips dim"], query: Float32[np.ndarray, " dim"], k: int
) -> np.ndarray:
    """Return the indices of the k vectors nearest to a query, in float64; equal scores by index."""
    return np.argsort(-(vectors.astype(np.float64) @ query), kind="stable")[:k]


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the expected ids that were found."""
    return float(np.isin(expected, found).mean())
