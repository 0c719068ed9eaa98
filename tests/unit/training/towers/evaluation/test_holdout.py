from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from training.errors import DatasetError
from training.scenes.load import SceneSet
from training.scenes.pair import Background
from training.scenes.pool import Event, Pool
from training.scenes.scene import get_scene
from training.towers.evaluation.holdout import hold_out_pool, without_sources


def pool(n_recordings: int) -> Pool:
    return Pool(
        scene=get_scene("general"),
        events={
            label: [
                Event(path=f"{label}-{fold}", label=label, fold=fold, from_s=0.0, length_s=1.0)
                for fold in (1, 2, 3, 4)
            ]
            for label in ("dog", "crow")
        },
        backgrounds={
            kind: [
                Background(
                    path=f"{kind}-{i}",
                    recording=f"{kind}:{i}",
                    kind=kind,
                    from_s=0.0,
                    length_s=20.0,
                )
                for i in range(n)
            ]
            for kind, n in (("rain", n_recordings), ("bells", 2))
        },
    )


def test_fold_4_and_a_quarter_of_the_recordings_are_held_out() -> None:
    held = hold_out_pool(pool(12))
    assert {event.path for events in held.events.values() for event in events} == {
        "dog-4",
        "crow-4",
    }
    assert set(held.backgrounds) == {"rain"}
    assert len(held.backgrounds["rain"]) == 3


def test_a_kind_with_few_recordings_is_left_to_training() -> None:
    with pytest.raises(DatasetError, match="nothing can be held out"):
        hold_out_pool(pool(3))


def test_pairs_that_share_a_file_with_what_is_held_out_are_not_trained_on(
    scenes: SceneSet,
) -> None:
    held = dataclasses.replace(
        scenes,
        pairs=[pair for pair in scenes.pairs if pair.bed == 2],
        event_rows=[row for row in scenes.event_rows if row.fold == 4],
    )
    kept = without_sources(scenes, held)
    closed = {row.path for row in held.event_rows} | {"bg/2-0.wav", "bg/2-1.wav"}
    closed |= {item.path for p in held.pairs for c in (p.query, p.target) for item in c.items}
    assert 0 < len(kept.pairs) < len(scenes.pairs)
    for pair in kept.pairs:
        assert closed.isdisjoint(i.path for c in (pair.query, pair.target) for i in c.items)
        for source in pair.sources.values():
            assert kept.event_rows[source.row].path == source.path
    rows = [pair.index for pair in kept.pairs]
    assert np.array_equal(kept.query, scenes.query[rows])
    assert len(kept.events) == len(kept.event_rows)
