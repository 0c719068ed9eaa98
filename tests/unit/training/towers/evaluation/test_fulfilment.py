from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_pairs

from training.scenes.changes import Change, ChangeKind
from training.scenes.pair import Clip
from training.towers.evaluation.fulfilment import (
    fulfils,
    level_db,
    share_fulfilled,
    tabulate_fulfilment,
)


def clip(**levels: float) -> Clip:
    """Make a clip of sounds with some levels."""
    return tiny_pairs.clip([tiny_pairs.item("event", k, k, v) for k, v in levels.items()])


def test_the_level_of_a_label_is_that_of_its_loudest_sound() -> None:
    rain = [
        tiny_pairs.item("background", "rain", "a", 0.0),
        tiny_pairs.item("more", "rain", "b", 7.0),
    ]
    assert level_db(tiny_pairs.clip(rain), "rain") == 7
    assert level_db(tiny_pairs.clip(rain), "dog") is None


@pytest.mark.parametrize(
    ("kind", "query", "hit", "expected"),
    [
        ("add", {}, {"dog": 3}, True),
        ("add", {}, {"cat": 3}, False),
        ("remove", {"dog": 3}, {}, True),
        ("remove", {"dog": 3}, {"dog": -9}, False),
        ("louder", {"dog": 0}, {"dog": 6}, True),
        ("louder", {"dog": 6}, {"dog": 0}, False),
        ("louder", {"dog": 0}, {}, False),
        ("quieter", {"dog": 6}, {"dog": 0}, True),
        ("quieter", {"dog": 6}, {}, False),
        ("quieter", {"dog": 0}, {"dog": 6}, False),
        ("more", {"dog": 0}, {"dog": 6}, True),
        ("less", {"dog": 6}, {"dog": 0}, True),
        ("less", {"dog": 6}, {"dog": 6}, False),
    ],
)
def test_a_change_is_fulfilled_by_the_right_hits(
    kind: ChangeKind, query: dict[str, Any], hit: dict[str, Any], expected: bool
) -> None:
    assert fulfils(Change(kind, "dog"), clip(**query), clip(**hit)) is expected


def test_every_target_fulfils_the_changes_of_its_own_pair() -> None:
    table = tabulate_fulfilment(tiny_pairs.make().pairs)
    assert table.diagonal().all()
    assert 0 < table.mean() < 0.5


def test_the_share_is_taken_over_the_first_ten() -> None:
    items = np.eye(20, dtype=np.float32)
    table = np.zeros((20, 20), bool)
    table[0, 0] = True  # the first hit of the first query
    assert share_fulfilled(items[:1], items, table[:1]) == pytest.approx(0.1)
    assert share_fulfilled(items, items, np.ones((20, 20), bool)) == 1.0
