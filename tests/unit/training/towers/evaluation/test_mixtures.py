from __future__ import annotations

from collections import Counter

import pytest
import tiny_pairs

from training.errors import DatasetError
from training.towers.evaluation.mixtures import choose_mixtures


def test_mixtures_are_single_added_events_spread_over_the_classes() -> None:
    pairs = tiny_pairs.make(60, 8, 3).pairs
    chosen = choose_mixtures(pairs, 24)
    assert len(chosen) == 24
    for pair in chosen:
        assert [change.kind for change in pair.changes] == ["add"]
        (label,) = (change.label for change in pair.changes)
        assert label in pair.target.labels
        assert label not in pair.query.labels
        assert {b.path for b in pair.backgrounds} == {item.path for item in pair.query.items}
    counts = Counter(pair.changes[0].label for pair in chosen)
    assert set(counts.values()) == {4}


def test_too_few_mixtures_are_refused() -> None:
    with pytest.raises(DatasetError, match="not 500"):
        choose_mixtures(tiny_pairs.make().pairs, 500)
