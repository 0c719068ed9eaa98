"""Vectors that lie as the clips of a library do."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from service.difference import l2_normalize


def clustered(n: int, dim: int, seed: int = 0) -> Float32[np.ndarray, "clips dim"]:
    """Make unit vectors in clusters, which lie in the same places for every seed."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(200, dim))
    points = centres[random.integers(0, 200, n)] + 0.6 * random.normal(size=(n, dim))
    return l2_normalize(points.astype(np.float32))
