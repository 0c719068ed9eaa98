"""Ranks of the right clips among the candidates, and recall (docs/method.md)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int64

KS = (1, 5, 10)


def rank_targets(
    queries: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
    groups: Int64[np.ndarray, " pairs"] | None = None,
) -> Int64[np.ndarray, " pairs"]:
    """Rank the item in each query's own row: 1 + the number of items with a higher score.

    Args:
        queries: Unit vectors.
        items: Unit vectors of the candidates; the query clips are not among them.
        groups: If given, only items of the query's own group are candidates.
    """
    scores = queries @ items.T
    own = scores.diagonal()[:, None]
    higher = scores > own
    if groups is not None:
        higher &= groups[:, None] == groups[None, :]
    ranks: np.ndarray = 1 + higher.sum(axis=1)
    return ranks


def recalls(ranks: Int64[np.ndarray, " pairs"]) -> dict[str, float]:
    """Return the share of ranks that are at most 1, 5 and 10."""
    return {f"r_at_{k}": float((ranks <= k).mean()) for k in KS}


def measure_recall(
    queries: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
    background_ids: Int64[np.ndarray, " pairs"],
) -> dict[str, float]:
    """Measure recall among all items, and among those over the same backgrounds (`bed_`)."""
    within = rank_targets(queries, items, background_ids)
    return (
        recalls(rank_targets(queries, items))
        | {f"bed_{name}": value for name, value in recalls(within).items()}
        | {"bed_mean_rank": float(within.mean())}
    )


def chance_recall(background_ids: Int64[np.ndarray, " pairs"]) -> dict[str, float]:
    """Compute the expected recall of a random ranking."""
    n = len(background_ids)
    _, group, counts = np.unique(background_ids, return_inverse=True, return_counts=True)
    sizes = counts[group]
    return (
        {f"r_at_{k}": min(k / n, 1.0) for k in KS}
        | {f"bed_r_at_{k}": float(np.minimum(k / sizes, 1.0).mean()) for k in KS}
        | {"bed_mean_rank": float(((sizes + 1) / 2).mean())}
    )


def recalls_by_kind(
    ranks: Int64[np.ndarray, " pairs"], kinds: Mapping[str, Int64[np.ndarray, " rows"]]
) -> dict[str, dict[str, float]]:
    """Compute the recall over the pairs of each kind of change, and their number."""
    return {
        kind: {"pairs": len(rows)} | recalls(ranks[rows])
        for kind, rows in kinds.items()
        if len(rows)
    }
