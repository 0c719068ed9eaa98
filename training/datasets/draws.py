"""Divisions drawn with a seed where a data set brings none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def draw_splits(
    groups: Iterable[str], seed: int, *, valid: float, test: float
) -> Mapping[str, str]:
    """Give each group of clips that must stay together a split.

    Groups are taken in the order of their seeded hashes, so that the draw does not depend on the
    order of files; the shares hold to the nearest group.

    Args:
        groups: Such as speakers or recordings.
        seed: Of the draw.
        valid: Share for validation.
        test: Share for testing.
    """
    ordered = sorted(set(groups), key=lambda group: _hash(seed, group))
    n_test, n_valid = round(test * len(ordered)), round(valid * len(ordered))
    bounds = (n_test, n_test + n_valid)
    return {
        group: "test" if i < bounds[0] else "valid" if i < bounds[1] else "train"
        for i, group in enumerate(ordered)
    }


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()
