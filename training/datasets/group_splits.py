"""Train, validation and test splits of groups, for data sets that have none of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def draw_group_splits(
    groups: Iterable[str], seed: int, *, valid: float, test: float
) -> Mapping[str, str]:
    """Draw a split for each group, all clips of which must be in the same split.

    Groups are sorted by a seeded hash, so the draw does not depend on the order of the files. The
    number of groups of a split is its share, rounded.

    Args:
        groups: Such as speakers or recordings.
        seed: Of the draw.
        valid: Share for validation, 0 to 1.
        test: Share for testing, 0 to 1.

    Returns:
        ``train``, ``valid`` or ``test`` by group.
    """
    ordered = sorted(set(groups), key=lambda group: _hash(seed, group))
    n_test, n_valid = round(test * len(ordered)), round(valid * len(ordered))
    return {
        group: "test" if i < n_test else "valid" if i < n_test + n_valid else "train"
        for i, group in enumerate(ordered)
    }


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()
