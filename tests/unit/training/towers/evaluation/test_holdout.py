from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from training.errors import DatasetError
from training.scenes.load import SceneSet
from training.scenes.pair import Background
from training.scenes.pool import Event, ScenePool
from training.scenes.recipe import load_scene
from training.towers.evaluation.holdout import hold_out_pool, without_sources


def pool(n_recordings: int) -> ScenePool:
    return ScenePool(
        scene=load_scene("general"),
        events={
            label: [
                Event(
                    path=f"{label}-{fold}",
                    label=label,
                    fold=fold,
                    from_s=0.0,
                    length_s=1.0,
                    is_held_out=fold == 4,
                )
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


def test_held_out_events_and_a_quarter_of_the_recordings_are_selected() -> None:
    held_out = hold_out_pool(pool(12))
    assert {event.path for events in held_out.events.values() for event in events} == {
        "dog-4",
        "crow-4",
    }
    assert set(held_out.backgrounds) == {"rain"}
    assert len(held_out.backgrounds["rain"]) == 3


def test_recordings_of_a_kind_with_few_of_them_are_not_held_out() -> None:
    with pytest.raises(
        DatasetError, match=r"events of fold 4, and a kind of background with 4 recordings"
    ):
        hold_out_pool(pool(3))


def test_pairs_that_share_a_file_with_held_out_ones_are_removed(
    scenes: SceneSet,
) -> None:
    held_out = dataclasses.replace(
        scenes,
        pairs=[pair for pair in scenes.pairs if pair.background_id == 2],
        event_rows=[row for row in scenes.event_rows if row.fold == 4],
    )
    remaining = without_sources(scenes, held_out)
    files = {row.path for row in held_out.event_rows} | {"bg/2-0.wav", "bg/2-1.wav"}
    files |= {item.path for p in held_out.pairs for c in (p.query, p.target) for item in c.items}
    assert 0 < len(remaining.pairs) < len(scenes.pairs)
    for pair in remaining.pairs:
        assert files.isdisjoint(i.path for c in (pair.query, pair.target) for i in c.items)
        for source in pair.sources.values():
            assert remaining.event_rows[source.row].path == source.path
    rows = [pair.index for pair in remaining.pairs]
    assert np.array_equal(remaining.query, scenes.query[rows])
    assert len(remaining.events) == len(remaining.event_rows)
