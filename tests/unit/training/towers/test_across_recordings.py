from __future__ import annotations

from collections import Counter

import tiny_pairs

from training.scenes.pair import Clip
from training.towers.across_recordings import list_pairs_across_recordings
from training.towers.evaluation.fulfilment import fulfils
from training.towers.recordings import ClipRecordings
from training.towers.training_pairs import TrainingPair, clip_at

SCENES = tiny_pairs.make(6, 12, 5)
RECORDINGS = ClipRecordings.of(SCENES)


def pairs(per_pair: int = 2, seed: int = 0) -> list[TrainingPair]:
    return list_pairs_across_recordings(SCENES, RECORDINGS, per_pair, seed)


def recordings(clip: Clip) -> set[str]:
    return {item.path for item in clip.items if item.role != "event"}


def test_query_and_target_share_the_kind_but_no_recording() -> None:
    assert pairs()
    for pair in pairs():
        first, second = SCENES.pairs[pair.query // 2], SCENES.pairs[pair.target // 2]
        assert pair.background_ids == (first.background_id, second.background_id)
        assert first.backgrounds[0].kind == second.backgrounds[0].kind
        assert first.background_id != second.background_id
        used = recordings(clip_at(SCENES, pair.query))
        assert used.isdisjoint(recordings(clip_at(SCENES, pair.target)))


def test_the_change_agrees_with_the_clips_in_both_directions() -> None:
    for pair in pairs():
        for directed in (pair, pair.reversed):
            (change,) = directed.changes
            query, target = clip_at(SCENES, directed.query), clip_at(SCENES, directed.target)
            assert fulfils(change, query, target)
            assert set(query.labels) ^ set(target.labels) <= {change.label}
        for label, source in pair.sources.items():
            items = clip_at(SCENES, pair.query).items + clip_at(SCENES, pair.target).items
            assert SCENES.event_rows[source.row].path == source.path
            assert (source.path, label) in {(item.path, item.label) for item in items}


def test_all_kinds_of_change_occur_in_similar_numbers() -> None:
    kinds = Counter(pair.changes[0].kind for pair in pairs(1))
    assert {"add", "remove", "more", "less"} <= set(kinds)
    of_event, of_background = kinds["add"] + kinds["remove"], kinds["more"] + kinds["less"]
    assert 0.5 < of_event / of_background < 2


def test_no_more_are_made_than_the_recipe_allows_and_none_twice() -> None:
    assert pairs(0) == []
    assert len(pairs(1)) == len(SCENES.pairs)
    assert pairs(1) == pairs(1)
    assert pairs(1) != pairs(1, seed=1)
    every = pairs(1000)
    assert len({frozenset((pair.query, pair.target)) for pair in every}) == len(every)


def test_rendered_pairs_over_other_recordings_can_be_used() -> None:
    scenes = tiny_pairs.with_other_recordings(SCENES)
    found = list_pairs_across_recordings(scenes, ClipRecordings.of(scenes), 3, 0)
    for pair in found:
        used = recordings(clip_at(scenes, pair.query))
        assert used.isdisjoint(recordings(clip_at(scenes, pair.target)))
