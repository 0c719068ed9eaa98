"""Whether a hit is what was asked for: the share of the first hits that fulfil the change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from training.scenes.changes import Change
from training.scenes.pair import Clip, Pair

STRENGTHS = (0.0, 0.5, 1.0, 2.0)
FIRST = 10


def level_db(clip: Clip, label: str) -> float | None:
    """Give the loudest sound of a label in a clip, over the clip's reference [LU], or None."""
    return max((item.snr_db for item in clip.items if item.label == label), default=None)


def fulfils(change: Change, query: Clip, hit: Clip) -> bool:
    """Tell whether a hit has what a change asks of a query.

    What is added, louder or more must be there and louder than in the query, if it is there; what
    is removed must be gone; what is quieter or less must still be there, and softer.
    """
    before, after = level_db(query, change.label), level_db(hit, change.label)
    if change.kind == "remove":
        return after is None
    if after is None:
        return False
    if change.kind in {"add", "louder", "more"}:
        return before is None or after > before
    return before is not None and after < before


def tabulate(pairs: Sequence[Pair]) -> Bool[np.ndarray, "pairs pairs"]:
    """Tell for each pair's changes which of the targets fulfil all of them."""
    return np.array(
        [
            [all(fulfils(c, pair.query, hit.target) for c in pair.changes) for hit in pairs]
            for pair in pairs
        ]
    )


def share_fulfilled(
    queries: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
    table: Bool[np.ndarray, "pairs pairs"],
) -> float:
    """Average over all queries the share of their first 10 hits that fulfil the change."""
    first = np.argsort(-(queries @ items.T), axis=1, kind="stable")[:, :FIRST]
    return float(np.take_along_axis(table, first, axis=1).mean())
