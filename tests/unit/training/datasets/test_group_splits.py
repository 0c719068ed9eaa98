from __future__ import annotations

from collections import Counter

from training.datasets.group_splits import draw_group_splits


def test_shares_hold_to_the_nearest_group() -> None:
    splits = draw_group_splits((f"s{i}" for i in range(91)), 42, valid=0.1, test=0.2)
    assert Counter(splits.values()) == {"train": 64, "valid": 9, "test": 18}


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    groups = [f"s{i}" for i in range(40)]
    one = draw_group_splits(groups, 1, valid=0.2, test=0.2)
    assert draw_group_splits(groups[::-1] * 2, 1, valid=0.2, test=0.2) == one
    assert draw_group_splits(groups, 2, valid=0.2, test=0.2) != one
