from __future__ import annotations

import numpy as np
import pytest

from training.scenes.load import SceneSet
from training.towers.evaluation.evaluate import ask, evaluate_towers, prepare
from training.towers.evaluation.ranks import measure, unit
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.towers.vectors import TowerVectors
from training.words import names


def test_a_test_side_has_the_same_texts_every_time(scenes: SceneSet) -> None:
    first, second = prepare(scenes), prepare(scenes)
    assert first.texts == second.texts
    assert len(set(map(tuple, first.texts.values()))) == 3
    assert all(len(texts) == len(scenes.pairs) for texts in first.texts.values())


def test_held_out_names_are_not_those_that_are_trained_on(scenes: SceneSet) -> None:
    for text, pair in zip(ask(scenes.pairs, names="held_out"), scenes.pairs, strict=True):
        for change in pair.changes:
            assert any(name in text for name in names(change.label, held_out=True))


def test_pairs_are_counted_under_every_kind_of_their_changes(scenes: SceneSet) -> None:
    kinds = prepare(scenes).kinds
    assert set(kinds) == {
        *("add", "remove", "louder", "quieter", "more", "less", "one change", "two changes")
    }
    assert len(kinds["one change"]) + len(kinds["two changes"]) == len(scenes.pairs)
    assert all("add" in {c.kind for c in scenes.pairs[row].changes} for row in kinds["add"])


def test_strength_0_is_audio_alone_and_1_is_the_query(
    scenes: SceneSet, loaded: LoadedTowers, cache: TextCache
) -> None:
    found = evaluate_towers(prepare(scenes), TowerVectors(loaded.towers, cache))
    assert list(found["strength"]) == ["0", "0.5", "1", "2"]
    for strength, system in (("0", "audio_alone"), ("1", "audio_and_text")):
        for name in ("r_at_1", "r_at_5", "r_at_10"):
            assert found["strength"][strength][name] == found["systems"][system][name]
    assert found["words"]["seen"]["r_at_1"] == found["systems"]["audio_and_text"]["r_at_1"]


def test_the_systems_are_what_they_are_called(
    scenes: SceneSet, loaded: LoadedTowers, cache: TextCache
) -> None:
    side, vectors = prepare(scenes), TowerVectors(loaded.towers, cache)
    found = evaluate_towers(side, vectors)["systems"]
    audio, text = vectors.audio(scenes.query), vectors.text(side.texts["seen"])
    items = unit(vectors.audio(scenes.target))
    for name, query in (
        ("audio_and_text", audio + text),
        ("audio_alone", audio),
        ("text_alone", text),
    ):
        assert found[name] == pytest.approx(measure(unit(query), items, side.beds))
    assert np.isfinite(items).all()
