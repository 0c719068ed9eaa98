"""Which pairs stand in a batch: those that share a bed are each other's hard negatives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64


def draw_batches(
    beds: Int64[np.ndarray, " pairs"], *, batch_size: int, per_bed: int, draw: np.random.Generator
) -> Iterator[Int64[np.ndarray, " batch"]]:
    """Yield all pairs once, in batches of groups that share a bed.

    Args:
        beds: Of each pair.
        batch_size: Pairs of one batch; the last one has what is left, and is dropped below 2.
        per_bed: Most pairs of one group; 1 is a plain shuffle.
        draw: Shuffles the pairs within the beds, and the groups.
    """
    shuffled = draw.permutation(len(beds))
    by_bed = shuffled[np.argsort(beds[shuffled], kind="stable")]
    cuts = np.flatnonzero(np.diff(beds[by_bed])) + 1
    groups = [
        bed[first : first + per_bed]
        for bed in np.split(by_bed, cuts)
        for first in range(0, len(bed), per_bed)
    ]
    order = np.concatenate([groups[i] for i in draw.permutation(len(groups))])
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        if len(batch) >= 2:
            yield batch


def split_pairs(
    beds: Int64[np.ndarray, " pairs"], *, share: float, whole_beds: bool, seed: int
) -> tuple[Int64[np.ndarray, " trained"], Int64[np.ndarray, " validated"]]:
    """Draw the pairs kept for validation; at least one, where there is a share at all.

    Args:
        beds: Of each pair.
        share: Kept for validation, 0 to 1.
        whole_beds: Draw beds with all their pairs, instead of pairs.
        seed: Draws them.

    Returns:
        Rows to train on and rows to validate with, each in ascending order.
    """
    draw = np.random.default_rng(seed)
    units = beds if whole_beds else np.arange(len(beds))
    names = draw.permutation(np.unique(units))
    n_kept = max(round(share * len(names)), 1) if share > 0 else 0
    is_kept = np.isin(units, names[:n_kept])
    return np.flatnonzero(~is_kept), np.flatnonzero(is_kept)
