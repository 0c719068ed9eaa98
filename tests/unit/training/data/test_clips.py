from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from training.data.clips import find_clips, is_held_out
from training.data.manifest import SourceClip
from training.errors import DatasetError
from training.recipe import DataRecipe

MANIFEST = """\
path,corpus,permissive,fold,recording
a/0.wav,esc50,1,1,r0
a/1.wav,esc50,0,1,r0
b/2.wav,fsd,1,2,r2
b/3.wav,fsd,1,3,
c/4.wav,own,1,,r4
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


def names(data: Path, *, draw_seed: int = 0, **recipe: object) -> list[str]:
    return [clip.name for clip in find_clips(data, DataRecipe.model_validate(recipe), draw_seed)]


def test_a_folder_is_searched_with_its_sub_folders_in_a_fixed_order(tmp_path: Path) -> None:
    for name in (
        "b/2.wav",
        "a/1.flac",
        "a/deep/0.OGG",
        "c.mp3",
        "d.opus",
        "notes.txt",
        "a/.hidden",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = names(tmp_path)
    assert found == ["a/1.flac", "a/deep/0.OGG", "b/2.wav", "c.mp3", "d.opus"]
    clip = find_clips(tmp_path, DataRecipe(), 0)[0]
    assert clip.path == tmp_path / "a/1.flac"
    assert clip.recording == "a/1.flac"


def test_a_manifest_is_read_with_paths_relative_to_itself(manifest: Path) -> None:
    clips = find_clips(manifest, DataRecipe(), 0)
    assert [clip.name for clip in clips] == ["a/0.wav", "a/1.wav", "b/2.wav", "b/3.wav", "c/4.wav"]
    assert clips[0].path == manifest.parent / "a/0.wav"
    assert [clip.recording for clip in clips] == ["r0", "r0", "r2", "b/3.wav", "r4"]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"where": {"permissive": 1}}, ["a/0.wav", "b/2.wav", "b/3.wav", "c/4.wav"]),
        ({"where": {"fold": [1, "3"]}}, ["a/0.wav", "a/1.wav", "b/3.wav"]),
        ({"exclude": {"corpus": "esc50"}}, ["b/2.wav", "b/3.wav", "c/4.wav"]),
        ({"where": {"permissive": 1}, "exclude": {"corpus": ["fsd"]}}, ["a/0.wav", "c/4.wav"]),
    ],
)
def test_the_manifest_s_columns_filter(
    manifest: Path, recipe: Mapping[str, Any], expected: list[str]
) -> None:
    assert names(manifest, **dict(recipe)) == expected


def test_an_unknown_column_is_named(manifest: Path) -> None:
    with pytest.raises(DatasetError, match="'licens'"):
        names(manifest, where={"licens": "CC0"})


def test_a_manifest_without_paths_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("file,label\na.wav,dog\n")
    with pytest.raises(DatasetError, match=r"no column 'path'; it has \['file', 'label'\]"):
        names(path)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is neither a folder nor a manifest"):
        names(tmp_path / "nowhere")


def test_fewer_than_two_clips_are_too_few(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="leave 1 clips"):
        names(manifest, where={"corpus": "own"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="leave 0 clips"):
        names(tmp_path / "empty")


def test_more_than_max_files_are_drawn_with_the_seed(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i:02}.wav").touch()
    everything = names(tmp_path)
    first, again, other = (names(tmp_path, draw_seed=seed, max_files=10) for seed in (1, 1, 2))
    assert first == again == sorted(first)
    assert first != other
    assert len(set(first)) == 10
    assert set(first) < set(everything)
    assert names(tmp_path, max_files=40) == everything


def test_the_given_share_of_recordings_is_held_out(tmp_path: Path) -> None:
    clips = [
        SourceClip(tmp_path, f"{i}-{part}.wav", {"recording": f"recording {i}"})
        for i in range(2000)
        for part in "abc"
    ]
    held_out = [is_held_out(clip, 0.1) for clip in clips]
    for first in range(0, len(clips), 3):
        assert len(set(held_out[first : first + 3])) == 1
    # Five standard deviations of 2,000 draws.
    assert sum(held_out) / len(clips) == pytest.approx(0.1, abs=0.034)


def test_a_larger_share_includes_the_clips_of_a_smaller_one(tmp_path: Path) -> None:
    clips = [SourceClip(tmp_path, f"{i}.wav") for i in range(300)]
    few, many = ({c.name for c in clips if is_held_out(c, share)} for share in (0.1, 0.3))
    assert few < many
    assert not any(is_held_out(clip, 0.0) for clip in clips)
