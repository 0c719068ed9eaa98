"""Fulfilment of a change by a hit: the share of the first hits that have the requested change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from training.scenes.changes import Change
from training.scenes.pair import Clip, Pair

STRENGTHS = (0.0, 0.5, 1.0, 2.0)
FIRST = 10


def level_db(clip: Clip, label: str) -> float | None:
    """Return the level of the loudest sound of a label over the reference [LU], or None."""
    return max((item.snr_db for item in clip.items if item.label == label), default=None)


def fulfils(change: Change, query: Clip, hit: Clip) -> bool:
    """Return whether a hit has the requested change.

    A sound that is added, louder or more must be in the hit, and louder than in the query if it
    is there. A removed sound must be absent. A quieter sound must be present, and quieter.
    """
    before, after = level_db(query, change.label), level_db(hit, change.label)
    if change.kind == "remove":
        return after is None
    if after is None:
        return False
    if change.kind in {"add", "louder", "more"}:
        return before is None or after > before
    return before is not None and after < before


def tabulate_fulfilment(pairs: Sequence[Pair]) -> Bool[np.ndarray, "pairs pairs"]:
    """Tell for each pair which of the targets fulfil all of its changes."""
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
    """Compute the share of the first 10 hits that fulfil the changes, averaged over queries."""
    first = np.argsort(-(queries @ items.T), axis=1, kind="stable")[:, :FIRST]
    return float(np.take_along_axis(table, first, axis=1).mean())
