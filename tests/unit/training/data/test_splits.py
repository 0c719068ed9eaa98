from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from training.data.clips import find_clips
from training.data.manifest import SourceClip
from training.data.splits import (
    background_sides,
    leave_out,
    matches,
    sources,
    sources_under_test,
    union_of_sources,
)
from training.recipe import DataRecipe, LeaveOutRecipe

RULE = LeaveOutRecipe.model_validate(
    {
        "test": [{"corpus": "esc50", "fold": [4, 5]}, {"split": "test"}],
        "backgrounds": {"corpus": "ambience"},
    }
)


def clip(name: str, **columns: str) -> SourceClip:
    return SourceClip(Path("data"), name, columns)


def event(number: int, fold: int) -> SourceClip:
    return clip(
        f"e{number}.wav",
        corpus="esc50",
        fold=str(fold),
        recording=f"esc50:{number}",
        freesound_id=str(number),
    )


def background(kind: str, recording: str) -> SourceClip:
    return clip(f"{kind}-{recording}.wav", corpus="ambience", label=kind, recording=recording)


def test_a_clip_matches_with_an_allowed_value_in_every_column() -> None:
    one = event(1, 4)
    assert matches(one, {"corpus": "esc50", "fold": [4, 5]})
    assert matches(one, {})
    assert not matches(one, {"corpus": "esc50", "fold": 5})
    assert not matches(one, {"split": "test"})


@pytest.mark.parametrize(
    "other",
    [
        clip("same-recording.wav", corpus="esc50", fold="1", recording="esc50:7"),
        clip("same-upload.wav", corpus="sfx", recording="sfx:7", freesound_id="7"),
        clip("found-to-repeat.wav", corpus="sfx", recording="sfx:x", esc50_src_overlap="7"),
    ],
)
def test_clips_that_share_a_source_with_a_tested_clip_are_left_out(other: SourceClip) -> None:
    tested, unrelated = event(7, 5), event(8, 1)
    assert not sources(tested).isdisjoint(sources(other))
    assert leave_out([tested, other, unrelated], RULE) == [unrelated]


def test_a_folder_without_columns_keeps_everything() -> None:
    clips = [clip("a.wav"), clip("b.wav")]
    assert leave_out(clips, RULE) == clips


def test_a_third_of_each_kind_is_for_testing_and_a_single_recording_is_not() -> None:
    sizes = {"rain": 9, "wind": 4, "waves": 2, "boat": 1}
    clips = [background(kind, f"{kind}{i}") for kind, n in sizes.items() for i in range(n)]
    sides = background_sides(clips)
    tested = Counter(c.columns["label"] for c in clips if sides[c.recording] == "test")
    assert tested == {"rain": 3, "wind": 1, "waves": 1}


def test_sides_do_not_depend_on_the_order_of_the_manifest() -> None:
    clips = [background("rain", f"r{i}") for i in range(20)]
    assert background_sides(clips) == background_sides(clips[::-1])


def test_a_recording_of_two_kinds_has_one_side() -> None:
    clips = [background(kind, f"r{i}") for kind in ("bus", "car") for i in range(9)]
    sides = background_sides(clips)
    assert Counter(sides.values()) == {"train": 6, "test": 3}
    left = leave_out(clips, RULE)
    assert len(left) == 12
    assert union_of_sources(left).isdisjoint(sources_under_test(clips, RULE))


def test_clips_are_left_out_before_the_filter(tmp_path: Path) -> None:
    """A tested clip that the filter drops still leaves out clips of the same source."""
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "path,corpus,fold,split,label,permissive,recording,freesound_id,esc50_src_overlap\n"
        "a.wav,esc50,5,,dog,0,esc50:1,1,\n"
        "b.wav,sfx,,,,1,sfx:1,1,\n"
        "c.wav,sfx,,,,1,sfx:2,2,\n"
        "d.wav,words,,test,yes,1,words:s1,,\n"
        "e.wav,words,,train,yes,1,words:s2,,\n",
        encoding="utf-8",
    )
    recipe = DataRecipe(where={"permissive": 1}, leave_out=RULE)
    assert [c.name for c in find_clips(manifest, recipe, 0)] == ["c.wav", "e.wav"]
