from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
import tiny_scene

from service.inference.phrases import RankedPhrase
from service.retrieval.change_calibration import CHANGES, What
from service.retrieval.description import ChangeSide
from training.change_detection.dataset import DetectionDataset
from training.change_detection.describe import (
    Judgement,
    SideJudgement,
    judge_side,
    measure_descriptions,
    summarize,
)
from training.change_detection.scenes import ChangedScene, draw_scenes
from training.change_detection.windows import windowed
from training.errors import DatasetError
from training.evaluation.encoders import open_embedder
from training.scenes.pair import Item
from training.scenes.pool import ScenePool
from training.scenes.render import StoredSources, render_pair


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ScenePool:
    manifest = tiny_scene.write(tmp_path_factory.mktemp("scenes"), tiny_scene.corpus())
    return tiny_scene.pool(manifest, "test")


@pytest.fixture(scope="module")
def scenes(pool: ScenePool) -> list[ChangedScene]:
    return draw_scenes(pool, "test", 3)


def test_there_are_as_many_scenes_of_each_change(scenes: list[ChangedScene]) -> None:
    assert Counter(scene.change for scene in scenes) == dict.fromkeys(CHANGES, 3)


def test_a_change_is_what_the_two_clips_contain(scenes: list[ChangedScene]) -> None:
    for scene in scenes:
        reference, mixture = (
            [item for item in clip.items if item.role != "background"]
            for clip in (scene.pair.query, scene.pair.target)
        )
        assert mixture == ([scene.added] if scene.added else [])
        assert reference == ([scene.removed] if scene.removed else [])
        number = bool(scene.added) + 2 * bool(scene.removed)
        assert scene.change == CHANGES[number]


def test_scenes_are_a_function_of_the_pool(pool: ScenePool, scenes: list[ChangedScene]) -> None:
    assert draw_scenes(pool, "test", 3) == scenes


def item(label: str = "dog", onset_s: float = 3.0, snr_db: float = 6.0) -> Item:
    return Item(
        role="event",
        label=label,
        path="dog.wav",
        from_s=0.0,
        length_s=2.0,
        source_time_s=0.0,
        onset_s=onset_s,
        duration_s=2.0,
        snr_db=snr_db,
    )


def test_an_event_is_named_by_the_first_phrase_and_mentioned_by_the_description() -> None:
    dog = RankedPhrase("dog barking", "dog", 0.5)
    cat = RankedPhrase("cat", "cat", 0.49)
    text = "A sound like “cat” or “dog barking” was added."

    first = judge_side(item(), ChangeSide([dog, cat], 3.25, 5.0, 2.0), "A sound was added.")
    second = judge_side(item(), ChangeSide([cat, dog]), text)
    assert (first.is_second, second.is_second) == (False, True)
    assert first.lead == pytest.approx(0.01)

    assert (first.is_named, first.is_mentioned) == (True, False)
    assert (second.is_named, second.is_mentioned) == (False, True)
    assert first.start_error_s == pytest.approx(0.25)
    # The rest is two backgrounds, each at the reference that the event is 6 dB over.
    assert first.level_error_db == pytest.approx(2.0 - (6.0 - 3.01), abs=0.01)
    assert second.start_error_s is second.level_error_db is None


def judgement(
    scenes: list[ChangedScene], change: What, answer: What, *, named: bool, error_s: float | None
) -> Judgement:
    scene = next(scene for scene in scenes if scene.change == change)
    n_sides = bool(scene.added) + bool(scene.removed)
    return Judgement(
        scene, answer, answer, [SideJudgement(named, False, 0.03, named, error_s, None)] * n_sides
    )


def test_shares_are_over_scenes_and_times_over_those_that_are_right(
    scenes: list[ChangedScene],
) -> None:
    judged = [
        judgement(scenes, "added", "added", named=True, error_s=0.4),
        judgement(scenes, "added", "added", named=True, error_s=-0.6),
        judgement(scenes, "added", "removed", named=True, error_s=0.0),
        judgement(scenes, "removed", "removed", named=False, error_s=0.0),
        judgement(scenes, "removed", "removed", named=True, error_s=None),
        judgement(scenes, "both", "both", named=True, error_s=0.1),
        judgement(scenes, "nothing", "added", named=True, error_s=None),
    ]

    found = summarize(judged)

    rows = {row["change"]: row for row in found["changes"]}
    assert rows["added"]["right"]["share"] == pytest.approx(2 / 3, abs=1e-4)
    assert rows["added"]["right_and_on_time"]["share"] == 0.5
    assert rows["nothing"]["direction"]["share"] == 0
    assert rows["nothing"]["answers"]["added"] == 1
    assert "right" not in rows["nothing"]
    one = found["one_event"]
    assert (one["scenes"], one["right"]["share"]) == (5, 0.6)
    assert one["right_and_on_time"]["of"] == 3
    assert one["right_and_on_time"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["names_by_lead"] == [{"lead_from": 0.02, "sounds": 5, "first": 0.8, "second": 0.0}]
    low, high = one["right"]["share_95"]
    assert low <= 0.6 <= high


def test_nothing_right_has_no_time(scenes: list[ChangedScene]) -> None:
    wrong = judgement(scenes, "added", "nothing", named=True, error_s=0.0)

    assert summarize([wrong])["one_event"]["right_and_on_time"]["share"] is None


def test_a_bundle_without_towers_has_no_words(dataset: DetectionDataset, bundle_path: Path) -> None:
    embedder = windowed(open_embedder(str(bundle_path), threads=1))

    with pytest.raises(DatasetError, match="has no towers"):
        measure_descriptions(bundle_path, dataset, embedder, 1)


def test_scenes_are_described_from_their_sound(
    dataset: DetectionDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle.write(tmp_path / "towers", towers=1)
    embedder = windowed(open_embedder(str(bundle), threads=1))
    monkeypatch.setattr("training.change_detection.describe.unused", _all_excerpts)

    found: dict[str, Any] = measure_descriptions(bundle, dataset, embedder, 2, side="test")

    assert (found["side"], found["scenes_of_each"]) == ("test", 2)
    assert [row["scenes"] for row in found["changes"]] == [2, 2, 2, 2]
    assert found["one_event"]["scenes"] == 4
    for row in found["changes"]:
        assert sum(row["answers"].values()) == pytest.approx(1)


def _all_excerpts(dataset: DetectionDataset) -> np.ndarray:
    return np.ones(len(dataset.excerpts), bool)


def test_the_detector_of_scenes_is_fitted_without_their_sources(dataset: DetectionDataset) -> None:
    from training.change_detection.describe import unused
    from training.scenes.pool import clips_of_side

    clips = dataset.clips
    names = {clip.name for clip in clips_of_side(clips.store.clips, clips.scene, "test")}
    kept = unused(dataset)

    assert 0 < kept.sum() < len(kept)
    for excerpt, is_kept in zip(dataset.excerpts, kept, strict=True):
        rows = [row for row in (excerpt.recording, excerpt.event) if row is not None]
        assert is_kept == names.isdisjoint(clips.store.clips[row].name for row in rows)


def test_the_sound_of_a_scene_differs_where_its_event_is(pool: ScenePool, tmp_path: Path) -> None:
    store = tiny_scene.store(tiny_scene.write(tmp_path, tiny_scene.corpus()))
    scene = next(each for each in draw_scenes(pool, "test", 1) if each.change == "added")
    assert scene.added is not None

    _, mixture = render_pair(scene.pair, StoredSources.of(store))

    onset = round(scene.added.onset_s * 16_000)
    there = mixture[onset : onset + round(scene.added.duration_s * 16_000)]
    assert np.square(there).mean() > np.square(mixture).mean()
