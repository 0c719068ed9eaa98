"""Where the right clip stands among the candidates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, Int64

KS = (1, 5, 10)


def rank_of_own(
    queries: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
    groups: Int64[np.ndarray, " pairs"] | None = None,
) -> Int64[np.ndarray, " pairs"]:
    """Rank the item of each query's own row: 1 + the number of items that score higher.

    Args:
        queries: Unit vectors.
        items: Unit vectors; all of them are candidates, the clips queried with are not.
        groups: Where given, only items of the query's own group are candidates.
    """
    scores = queries @ items.T
    own = scores.diagonal()[:, None]
    higher = scores > own
    if groups is not None:
        higher &= groups[:, None] == groups[None, :]
    ranks: np.ndarray = 1 + higher.sum(axis=1)
    return ranks


def recalls(ranks: Int64[np.ndarray, " pairs"]) -> dict[str, float]:
    """Give the share of ranks that are at most 1, 5 and 10."""
    return {f"r_at_{k}": float((ranks <= k).mean()) for k in KS}


def measure(
    queries: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
    beds: Int64[np.ndarray, " pairs"],
) -> dict[str, float]:
    """Measure recall among all candidates, and among those of the query's own bed."""
    within = rank_of_own(queries, items, beds)
    return (
        recalls(rank_of_own(queries, items))
        | {f"bed_{name}": value for name, value in recalls(within).items()}
        | {"bed_mean_rank": float(within.mean())}
    )


def chance(beds: Int64[np.ndarray, " pairs"]) -> dict[str, float]:
    """Give what drawing at random is expected to reach."""
    n = len(beds)
    sizes = np.unique(beds, return_counts=True)[1][np.unique(beds, return_inverse=True)[1]]
    return (
        {f"r_at_{k}": min(k / n, 1.0) for k in KS}
        | {f"bed_r_at_{k}": float(np.minimum(k / sizes, 1.0).mean()) for k in KS}
        | {"bed_mean_rank": float(((sizes + 1) / 2).mean())}
    )


def by_kind(
    ranks: Int64[np.ndarray, " pairs"], kinds: Mapping[str, Int64[np.ndarray, " rows"]]
) -> dict[str, dict[str, float]]:
    """Give the recall over the pairs of each kind of change, and how many there are."""
    return {
        kind: {"pairs": len(rows)} | recalls(ranks[rows])
        for kind, rows in kinds.items()
        if len(rows)
    }


def unit(vectors: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    """Bring rows to length 1; zero stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled.astype(np.float32)
