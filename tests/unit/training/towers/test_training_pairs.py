from __future__ import annotations

import tiny_pairs

from training.scenes.load import SceneSet
from training.towers.evaluation.fulfilment import fulfils
from training.towers.training_pairs import TrainingPair, clip_at, list_training_pairs

SCENES = tiny_pairs.make(4, 12, 5)


def crossed(scenes: SceneSet, n: int = 100) -> list[TrainingPair]:
    return list_training_pairs(scenes, n, 0)[len(scenes.pairs) :]


def test_the_rendered_pairs_come_first() -> None:
    pairs = list_training_pairs(SCENES, 3, 0)
    for i, pair in enumerate(SCENES.pairs):
        assert (pairs[i].query, pairs[i].target) == (2 * i, 2 * i + 1)
        assert pairs[i].changes == pair.changes
        assert clip_at(SCENES, pairs[i].query) == pair.query
        assert clip_at(SCENES, pairs[i].target) == pair.target
    assert list_training_pairs(SCENES, 0, 0) == pairs[: len(SCENES.pairs)]


def test_pairs_across_are_over_the_same_backgrounds_and_of_two_rendered_pairs() -> None:
    pairs = crossed(SCENES)
    assert len(pairs) > len(SCENES.pairs)
    for pair in pairs:
        first, second = SCENES.pairs[pair.query // 2], SCENES.pairs[pair.target // 2]
        assert pair.background_ids == (first.background_id, second.background_id)
        assert first.background_id == second.background_id
        assert first.index != second.index
    assert len({(pair.query, pair.target) for pair in pairs}) == len(pairs)


def test_the_change_across_agrees_with_the_clips() -> None:
    kinds = set()
    for pair in crossed(SCENES):
        for directed in (pair, pair.reversed):
            (change,) = directed.changes
            query, target = clip_at(SCENES, directed.query), clip_at(SCENES, directed.target)
            assert fulfils(change, query, target)
            assert set(query.labels) ^ set(target.labels) <= {change.label}
            kinds.add(change.kind)
        for label, source in pair.sources.items():
            assert SCENES.event_rows[source.row].path == source.path
            items = clip_at(SCENES, pair.query).items + clip_at(SCENES, pair.target).items
            assert (source.path, label) in {(item.path, item.label) for item in items}
    assert {"add", "remove", "more", "less"} <= kinds


def test_no_more_are_made_than_the_recipe_allows() -> None:
    assert len(crossed(SCENES, 2)) == 2 * len(SCENES.pairs)
    assert crossed(SCENES, 2) == crossed(SCENES, 2)
    other = list_training_pairs(SCENES, 2, 1)[len(SCENES.pairs) :]
    assert other != crossed(SCENES, 2)
