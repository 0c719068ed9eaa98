from __future__ import annotations

from pathlib import Path

import tiny_scene
from pydantic import TypeAdapter

from training.scenes.draw import draw_pairs
from training.scenes.pair import Pair


def test_a_pair_reversed_asks_for_the_opposite(corpus: Path) -> None:
    for pair in draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(30)):
        back = pair.reversed
        assert (back.query, back.target) == (pair.target, pair.query)
        assert [c.inverse for c in back.changes] == list(pair.changes)
        assert (back.index, back.background_id) == (pair.index, pair.background_id)
        assert back.ref_db == pair.ref_db
        assert back.sources == pair.sources
        assert back.reversed == pair


def test_a_pair_is_read_back_from_its_line_of_json(corpus: Path) -> None:
    adapter = TypeAdapter(Pair)
    for pair in draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(10)):
        assert adapter.validate_json(pair.to_json()) == pair
