from __future__ import annotations

from pathlib import Path

import pytest
import synth
import tiny_scene
from tiny_scene import Row

from training.data.manifest import SourceClip
from training.data.splits import background_sides, leave_out, sources
from training.errors import DatasetError
from training.recipe import load_recipe
from training.scenes.pool import BACKGROUND_S, build_pool, clips_of_side, scene_clips
from training.scenes.recipe import load_scene

GENERAL = load_scene("general")


def event(number: int, fold: int, **columns: object) -> Row:
    named = {"path": f"e{number}.wav", "recording": f"esc50:{number}", "freesound_id": number}
    return {"corpus": "esc50", "label": "dog", "fold": fold} | named | columns


def background(number: int, **columns: object) -> Row:
    named = {"path": f"b{number}.wav", "recording": f"ambience:{number}"}
    return {"corpus": "ambience", "label": "rain"} | named | columns


def names(clips: list[SourceClip]) -> list[str]:
    return [clip.name for clip in clips]


def test_no_source_is_on_both_sides_and_none_of_a_background_is_an_event() -> None:
    rows = [event(i, 1 + i % 5) for i in range(20)] + [background(i) for i in range(12)]
    rows += [
        event(30, 1, freesound_id=4),
        event(31, 2, recording="esc50:9"),
        background(20, esc50_src_overlap=7),
        background(21, freesound_id=4),
        background(22, label="wind", recording="ambience:3"),
    ]
    clips = tiny_scene.rows_only(rows)
    train, test = (
        clips_of_side(clips, GENERAL, "train"),
        clips_of_side(clips, GENERAL, "test"),
    )
    trained = frozenset().union(*map(sources, train))
    assert all(trained.isdisjoint(sources(clip)) for clip in test)
    for side in (train, test):
        backgrounds = [sources(clip) for clip in side if clip.columns["corpus"] == "ambience"]
        assert backgrounds
        assert all(
            own.isdisjoint(sources(clip))
            for own in backgrounds
            for clip in clips
            if clip.columns["corpus"] == "esc50"
        )
    assert {"e30.wav", "e31.wav"}.isdisjoint(names(train))
    assert {"b20.wav", "b21.wav"}.isdisjoint(names(train + test))
    assert {c.columns["fold"] for c in test if c.columns["corpus"] == "esc50"} == {"5"}


def test_the_recipe_table_leaves_out_the_test_side() -> None:
    """An encoder trained with that recipe saw no background and no event of the test side."""
    rule = load_recipe("table", []).data.leave_out
    assert rule is not None
    assert rule.backgrounds == GENERAL.backgrounds.where
    rows = [background(i, label=("rain", "wind")[i % 2], permissive=i % 3 == 0) for i in range(18)]
    clips = tiny_scene.rows_only(rows + [event(i, 1 + i % 5) for i in range(10)])
    trained = {clip.name for clip in leave_out(clips, rule)}
    assert trained.isdisjoint(names(clips_of_side(clips, GENERAL, "test")))
    sides = background_sides([clip for clip in clips if GENERAL.is_background(clip)])
    for side in ("train", "test"):
        found = [c for c in clips_of_side(clips, GENERAL, side) if GENERAL.is_background(c)]
        assert {sides[clip.recording] for clip in found} == {side}


def test_long_recordings_are_cut_and_short_ones_are_whole(tmp_path: Path) -> None:
    lengths = {"a": 61.0, "b": 40.0, "c": 39.0, "d": 12.0}
    clips = [
        *tiny_scene.corpus()[:16],
        *(tiny_scene.background("wind", n, s, seed=1) for n, s in lengths.items()),
    ]
    manifest = tiny_scene.write(tmp_path, clips)
    pools = [tiny_scene.pool(manifest, side, scene="general") for side in ("train", "test")]
    cuts = [cut for pool in pools for cut in pool.backgrounds.get("wind", [])]
    of = {
        name: [(c.from_s, c.length_s) for c in cuts if Path(c.path).stem == name]
        for name in lengths
    }
    assert of["a"] == [(0.0, BACKGROUND_S), (20.0, BACKGROUND_S), (40.0, BACKGROUND_S)]
    assert of["b"] == [(0.0, BACKGROUND_S), (20.0, BACKGROUND_S)]
    # The only background of its side is halved.
    assert of["c"] in ([(0.0, BACKGROUND_S)], [(0.0, 10.0), (10.0, 10.0)])
    assert of["d"] in ([(0.0, 12.0)], [(0.0, 6.0), (6.0, 6.0)])


@pytest.mark.parametrize(("seconds", "n_backgrounds"), [(9.9, 0), (10.0, 2), (15.0, 2), (40.0, 2)])
def test_the_only_background_of_a_kind_is_halved(
    tmp_path: Path, seconds: float, n_backgrounds: int
) -> None:
    only = tiny_scene.background("bicycle", "only", seconds, seed=3)
    manifest = tiny_scene.write(tmp_path, [*tiny_scene.corpus(), only])
    cuts = tiny_scene.pool(manifest, "train", scene="general").backgrounds.get("bicycle", [])
    assert len(cuts) == n_backgrounds
    if cuts:
        first, second = cuts
        assert second.from_s == first.from_s + first.length_s
        assert second.from_s + second.length_s <= seconds


def test_only_permissive_clips_are_used_on_demand(tmp_path: Path) -> None:
    clips = [
        (row | {"permissive": int(not row["path"].endswith("-0.wav"))}, waveform)  # type: ignore[attr-defined]  # a path is text
        for row, waveform in tiny_scene.corpus()
    ]
    store = tiny_scene.store(tiny_scene.write(tmp_path, clips))
    free = build_pool(store, load_scene("rain"), "train", permissive=True)
    every = build_pool(store, load_scene("rain"), "train", permissive=False)
    assert {label: len(events) for label, events in free.events.items()} == dict.fromkeys(
        tiny_scene.CLASSES, 1
    )
    assert {len(events) for events in every.events.values()} == {2}
    assert free.backgrounds == every.backgrounds


def test_events_are_trimmed_to_their_active_part_and_silent_ones_left_out(
    tmp_path: Path,
) -> None:
    silent, _ = tiny_scene.event("dog", 5, 7)
    faint, _ = tiny_scene.event("dog", 5, 8)
    clips = [
        *tiny_scene.corpus(),
        (silent, synth.silence(2.0)),
        (faint, 1e-4 * synth.noise(0, 2.0)),
    ]
    pool = tiny_scene.pool(tiny_scene.write(tmp_path, clips))
    assert [len(events) for events in pool.events.values()] == [2, 2, 2, 2]
    for events in pool.events.values():
        for number, found in enumerate(events):
            assert found.fold == 5
            assert found.from_s == pytest.approx(0.5, abs=0.01)
            assert found.length_s == pytest.approx(1.0 + 0.5 * number, abs=0.02)


def test_a_class_is_not_drawn_on_a_background_of_the_same_sound(corpus: Path) -> None:
    pool = tiny_scene.pool(corpus, scene="general")
    assert "thunderstorm" in pool.classes_on("rain")
    assert "thunderstorm" not in pool.classes_on("rain_thunder")
    assert "chirping_birds" not in pool.classes_on("farm")


def test_data_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="columns corpus, label, fold"):
        scene_clips([SourceClip(tmp_path, "a.wav")], GENERAL)
    events = [clip for clip in tiny_scene.corpus() if clip[0]["corpus"] == "esc50"]
    manifest = tiny_scene.write(tmp_path / "events", events)
    with pytest.raises(DatasetError, match="4 classes of events and 0 kinds of background"):
        tiny_scene.pool(manifest)
    few = [clip for clip in tiny_scene.corpus() if clip[0]["label"] in ("rain", "dog")]
    with pytest.raises(DatasetError, match="two classes of events"):
        tiny_scene.pool(tiny_scene.write(tmp_path / "few", few))
