from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import synth
import tiny_scene
import tiny_takes

from training.change_detection.takes import (
    EXCERPT,
    MAX_EXCERPTS,
    SHIFT,
    Material,
    draw_takes,
    find_material,
)
from training.errors import DatasetError


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return find_material(tiny_scene.store(tiny_takes.write(tmp_path_factory.mktemp("corpus"))))


def test_recordings_have_two_excerpts_and_events_are_heard(material: Material) -> None:
    clips = material.store.clips
    names = [clips[row].name for row in material.recordings]

    assert names == [f"ambience/rain{i}.wav" for i in (0, 1, 3, 4, 5, 6)]
    assert {clips[row].columns["corpus"] for row in material.events} == {"esc50"}


def test_silent_events_and_recordings_of_an_event_s_source_are_left_out(tmp_path: Path) -> None:
    rows = tiny_takes.corpus()
    columns, sound = rows[0]
    rows[0] = (columns, sound * 0)
    shared = {"esc50_src_overlap": str(rows[1][0]["freesound_id"])}
    same, noise = tiny_scene.background("rain", "same", 20.0, seed=9)
    rows.append(({**same, **shared}, noise))

    found = find_material(tiny_scene.store(tiny_scene.write(tmp_path, rows)))

    names = {found.store.clips[row].name for row in (*found.recordings, *found.events)}
    assert str(columns["path"]) not in names
    assert "ambience/same.wav" not in names


def test_takes_are_a_function_of_the_seed(material: Material) -> None:
    assert draw_takes(material, 1) == draw_takes(material, 1)
    assert draw_takes(material, 1) != draw_takes(material, 2)


def test_takes_lie_within_their_recording_and_a_shift_fits(material: Material) -> None:
    for take in draw_takes(material, 0):
        assert take.first >= 0
        assert take.first + SHIFT + EXCERPT <= material.store.lengths[take.row]
        assert 0 <= take.onset <= 1


def test_every_excerpt_is_taken_plain_and_under_two_conditions(material: Material) -> None:
    unchanged = [take for take in draw_takes(material, 0) if take.event is None]
    excerpts = Counter((take.row, take.first) for take in unchanged)

    assert set(excerpts.values()) == {3}
    assert max(Counter(row for row, _ in excerpts).values()) == MAX_EXCERPTS
    plain = [take for take in unchanged if take.condition == "plain"]
    assert len(plain) == len(excerpts)


def test_an_event_is_of_the_recording_s_fold_and_no_sound_of_its_own_kind(
    material: Material,
) -> None:
    added = [take for take in draw_takes(material, 0) if take.event is not None]

    assert {take.row for take in added} == set(material.recordings)
    for take in added:
        assert take.event is not None
        assert material.fold(take.event) == material.fold(take.row)
        assert material.store.clips[take.event].columns["label"] != "rain"


def test_silence_is_no_excerpt(tmp_path: Path) -> None:
    columns, _ = tiny_scene.background("rain", "silent", 20.0, seed=0)
    rows = [*tiny_takes.corpus(), (columns, synth.silence(20.0))]
    material = find_material(tiny_scene.store(tiny_scene.write(tmp_path, rows)))

    names = {material.store.clips[take.row].name for take in draw_takes(material, 0)}

    assert "ambience/silent.wav" not in names


def test_too_little_is_told(tmp_path: Path) -> None:
    rows = [tiny_scene.event("dog", 1, 0), tiny_scene.background("rain", "only", 12.0, seed=0)]
    store = tiny_scene.store(tiny_scene.write(tmp_path, rows))

    with pytest.raises(DatasetError, match="there are 1 recordings of 10 s or more"):
        find_material(store)
