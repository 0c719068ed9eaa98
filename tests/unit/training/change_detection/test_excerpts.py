from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import synth
import tiny_excerpts
import tiny_scene

from training.change_detection.excerpts import (
    EXCERPT_SAMPLES,
    MAX_EXCERPTS,
    SHIFT_SAMPLES,
    DetectionClips,
    draw_excerpts,
    select_clips,
)
from training.errors import DatasetError
from training.scenes.recipe import load_scene

GENERAL = load_scene("general")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> DetectionClips:
    return select_clips(
        tiny_scene.store(tiny_excerpts.write(tmp_path_factory.mktemp("corpus"))), GENERAL
    )


def test_recordings_are_long_enough_for_two_excerpts(clips: DetectionClips) -> None:
    all_clips = clips.store.clips
    names = [all_clips[row].name for row in clips.recordings]

    assert names == [f"ambience/rain{i}.wav" for i in (0, 1, 3, 4, 5, 6)]
    assert {all_clips[row].columns["corpus"] for row in clips.events} == {"esc50"}


def test_silent_events_and_recordings_of_an_event_s_source_are_left_out(tmp_path: Path) -> None:
    rows = tiny_excerpts.corpus()
    columns, sound = rows[0]
    rows[0] = (columns, sound * 0)
    shared = {"esc50_src_overlap": str(rows[1][0]["freesound_id"])}
    same, noise = tiny_scene.background("rain", "same", 20.0, seed=9)
    rows.append(({**same, **shared}, noise))

    found = select_clips(tiny_scene.store(tiny_scene.write(tmp_path, rows)), GENERAL)

    names = {found.store.clips[row].name for row in (*found.recordings, *found.events)}
    assert str(columns["path"]) not in names
    assert "ambience/same.wav" not in names


def test_excerpts_are_a_function_of_the_seed(clips: DetectionClips) -> None:
    assert draw_excerpts(clips, 1) == draw_excerpts(clips, 1)
    assert draw_excerpts(clips, 1) != draw_excerpts(clips, 2)


def test_excerpts_lie_within_their_recording_and_a_shift_fits(clips: DetectionClips) -> None:
    for excerpt in draw_excerpts(clips, 0):
        assert excerpt.start >= 0
        end = excerpt.start + SHIFT_SAMPLES + EXCERPT_SAMPLES
        assert end <= clips.store.lengths[excerpt.recording]
        assert 0 <= excerpt.onset <= 1


def test_every_excerpt_is_plain_and_under_two_conditions(clips: DetectionClips) -> None:
    unchanged = [excerpt for excerpt in draw_excerpts(clips, 0) if excerpt.event is None]
    excerpts = Counter((excerpt.recording, excerpt.start) for excerpt in unchanged)

    assert set(excerpts.values()) == {3}
    assert max(Counter(row for row, _ in excerpts).values()) == MAX_EXCERPTS
    plain = [excerpt for excerpt in unchanged if excerpt.condition == "plain"]
    assert len(plain) == len(excerpts)


def test_one_event_lasts_over_all_plain_excerpts_of_a_recording(clips: DetectionClips) -> None:
    drawn = draw_excerpts(clips, 0)
    lasting = [excerpt for excerpt in drawn if excerpt.is_lasting]

    places = {(excerpt.recording, excerpt.start) for excerpt in drawn if excerpt.is_plain}
    assert {(excerpt.recording, excerpt.start) for excerpt in lasting} == places
    assert len(lasting) == len(places)
    for row in clips.recordings:
        of_row = [excerpt for excerpt in lasting if excerpt.recording == row]
        assert len({excerpt.event for excerpt in of_row}) == 1
        assert len({excerpt.onset for excerpt in of_row}) == len(of_row)


def test_an_event_is_of_the_recording_s_fold_and_no_sound_of_its_own_kind(
    clips: DetectionClips,
) -> None:
    added = [excerpt for excerpt in draw_excerpts(clips, 0) if excerpt.event is not None]

    assert {excerpt.recording for excerpt in added} == set(clips.recordings)
    for excerpt in added:
        assert excerpt.event is not None
        assert clips.fold(excerpt.event) == clips.fold(excerpt.recording)
        assert clips.store.clips[excerpt.event].columns["label"] != "rain"


def test_silent_excerpts_are_left_out(tmp_path: Path) -> None:
    columns, _ = tiny_scene.background("rain", "silent", 20.0, seed=0)
    rows = [*tiny_excerpts.corpus(), (columns, synth.silence(20.0))]
    clips = select_clips(tiny_scene.store(tiny_scene.write(tmp_path, rows)), GENERAL)

    names = {clips.store.clips[excerpt.recording].name for excerpt in draw_excerpts(clips, 0)}

    assert "ambience/silent.wav" not in names


def test_too_few_recordings_are_refused(tmp_path: Path) -> None:
    rows = [tiny_scene.event("dog", 1, 0), tiny_scene.background("rain", "only", 12.0, seed=0)]
    store = tiny_scene.store(tiny_scene.write(tmp_path, rows))

    with pytest.raises(DatasetError, match="there are 1 recordings of 10 s or more"):
        select_clips(store, GENERAL)
