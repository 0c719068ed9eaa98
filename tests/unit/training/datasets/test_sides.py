from __future__ import annotations

from pathlib import Path

import pytest
from tiny_datasets import write_backgrounds, write_corpora, write_esc50, write_table

from training.data.clips import find_clips
from training.data.splits import sources, union_of_sources
from training.datasets.sides import TEST, TRAIN, Sides, find_sides
from training.errors import DatasetError
from training.recipe import load_recipe


def all_sources(sides: Sides, side: str) -> frozenset[str]:
    return union_of_sources([*sides.events[side], *sides.backgrounds[side]])


def test_no_recording_is_on_both_sides(tmp_path: Path) -> None:
    manifest = write_corpora(tmp_path)
    sides = find_sides(manifest, manifest)
    assert {clip.columns["fold"] for clip in sides.events[TRAIN]} == {"1", "2", "3"}
    assert {clip.columns["fold"] for clip in sides.events[TEST]} == {"4", "5"}
    assert (len(sides.backgrounds[TRAIN]), len(sides.backgrounds[TEST])) == (4, 2)
    assert all_sources(sides, TRAIN).isdisjoint(all_sources(sides, TEST))


def test_a_background_that_repeats_an_event_of_the_other_side_is_dropped(tmp_path: Path) -> None:
    manifest = write_corpora(tmp_path)
    before = find_sides(manifest, manifest)
    victim = before.backgrounds[TRAIN][0]
    tested = before.events[TEST][0].columns["freesound_id"]
    text = manifest.read_text().replace(
        f"{victim.name},ambience,street,,,1,,{victim.recording},",
        f"{victim.name},ambience,street,,,1,,{victim.recording},{tested}",
    )
    manifest.write_text(text)
    after = find_sides(manifest, manifest)
    assert after.dropped == 1
    assert victim.name not in {clip.name for clip in after.backgrounds[TRAIN]}
    assert all_sources(after, TRAIN).isdisjoint(all_sources(after, TEST))


def test_recipe_table_trains_on_no_test_clip(tmp_path: Path) -> None:
    """The leakage rule: test events, test backgrounds, split test, and all their relatives."""
    manifest = write_corpora(tmp_path)
    recipe = load_recipe("table")
    trained = find_clips(manifest, recipe.data, recipe.seed)
    sides = find_sides(manifest, manifest)
    assert union_of_sources(trained).isdisjoint(all_sources(sides, TEST))
    names = {clip.name for clip in trained}
    assert {clip.name for clip in sides.events[TRAIN]} <= names
    assert {clip.name for clip in sides.backgrounds[TRAIN]} <= names
    assert names.isdisjoint({"sfx/again.wav", "sfx/word.wav", "words/w2.wav"})
    assert {"words/w0.wav", "words/w1.wav"} <= names


def test_two_folders_are_the_sides_as_in_the_paper(tmp_path: Path) -> None:
    events = write_esc50(tmp_path / "esc")
    dev = write_backgrounds(tmp_path / "dev", 3)
    held = write_backgrounds(tmp_path / "eval", 2, first=3)
    sides = find_sides(events, dev, held)
    assert [clip.path.name for clip in sides.backgrounds[TRAIN]] == ["b0.wav", "b1.wav", "b2.wav"]
    assert [clip.path.name for clip in sides.backgrounds[TEST]] == ["b3.wav", "b4.wav"]
    assert {len(sides.events[TRAIN]), len(sides.events[TEST])} == {6, 4}
    assert sources(sides.events[TRAIN][0]) == {"esc50:1000", "freesound:1000"}


def test_one_folder_is_divided(tmp_path: Path) -> None:
    events, folder = write_esc50(tmp_path / "esc"), write_backgrounds(tmp_path / "bg", 6)
    sides = find_sides(events, folder)
    names = {side: {clip.name for clip in sides.backgrounds[side]} for side in (TRAIN, TEST)}
    assert (len(names[TRAIN]), len(names[TEST])) == (4, 2)
    assert names[TRAIN].isdisjoint(names[TEST])


def test_sides_without_events_or_backgrounds_are_refused(tmp_path: Path) -> None:
    events = write_esc50(tmp_path / "esc")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no backgrounds to train and test with"):
        find_sides(events, tmp_path / "empty")
    table = write_table(tmp_path / "m.csv", [{"path": "a.wav", "corpus": "x", "label": "y"}])
    with pytest.raises(DatasetError, match="no events to train and test with"):
        find_sides(table, write_backgrounds(tmp_path / "bg", 4))
