from __future__ import annotations

import numpy as np
import pytest

from service.difference import l2_normalize
from training.scenes.load import SceneSet
from training.towers.evaluation.evaluate import (
    draw_requests,
    evaluate_towers,
    prepare_evaluation,
)
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import measure_recall
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.words.names import list_names


def test_a_test_side_has_the_same_texts_every_time(scenes: SceneSet) -> None:
    first, second = prepare_evaluation(scenes), prepare_evaluation(scenes)
    assert first.texts == second.texts
    assert len(set(map(tuple, first.texts.values()))) == 3
    assert all(len(texts) == len(scenes.pairs) for texts in first.texts.values())


def test_held_out_names_are_used_on_demand(scenes: SceneSet) -> None:
    for text, pair in zip(draw_requests(scenes.pairs, names="held_out"), scenes.pairs, strict=True):
        for change in pair.changes:
            assert any(name in text for name in list_names(change.label, "held_out"))


def test_pairs_are_counted_under_every_kind_of_their_changes(scenes: SceneSet) -> None:
    kinds = prepare_evaluation(scenes).kinds
    assert set(kinds) == {
        *("add", "remove", "louder", "quieter", "more", "less", "one change", "two changes")
    }
    assert len(kinds["one change"]) + len(kinds["two changes"]) == len(scenes.pairs)
    assert all("add" in {c.kind for c in scenes.pairs[row].changes} for row in kinds["add"])


def test_strength_0_is_audio_alone_and_1_is_the_query(
    scenes: SceneSet, loaded: LoadedTowers, cache: TextCache
) -> None:
    found = evaluate_towers(prepare_evaluation(scenes), TowerProjector(loaded.networks, cache))
    assert list(found["strength"]) == ["0", "0.5", "1", "2"]
    for strength, system in (("0", "audio_alone"), ("1", "audio_and_text")):
        for name in ("r_at_1", "r_at_5", "r_at_10"):
            assert found["strength"][strength][name] == found["systems"][system][name]
    assert found["words"]["seen"]["r_at_1"] == found["systems"]["audio_and_text"]["r_at_1"]


def test_the_systems_use_the_terms_of_their_names(
    scenes: SceneSet, loaded: LoadedTowers, cache: TextCache
) -> None:
    test, projector = prepare_evaluation(scenes), TowerProjector(loaded.networks, cache)
    found = evaluate_towers(test, projector)["systems"]
    audio, text = (
        projector.project_audio(scenes.query),
        projector.project_texts(test.texts["seen"]),
    )
    items = l2_normalize(projector.project_audio(scenes.target))
    for name, query in (
        ("audio_and_text", audio + text),
        ("audio_alone", audio),
        ("text_alone", text),
    ):
        assert found[name] == pytest.approx(
            measure_recall(l2_normalize(query), items, test.background_ids)
        )
    assert np.isfinite(items).all()
