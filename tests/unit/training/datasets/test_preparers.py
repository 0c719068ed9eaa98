from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_datasets import touch, write_esc50, write_table

from training.datasets.metadata import TaskClip
from training.datasets.preparers import (
    prepare_cremad,
    prepare_esc50,
    prepare_gtzan,
    prepare_nsynth,
    prepare_spcv2,
    prepare_surge,
    prepare_us8k,
    prepare_vc1,
    prepare_voxforge,
)
from training.errors import DatasetError


def splits_by_group(clips: list[TaskClip], group: Callable[[TaskClip], str]) -> dict[str, str]:
    """Return the split of each group of clips, which must all be in one."""
    pairs = {(group(clip), clip.split) for clip in clips}
    splits = dict(pairs)
    assert len(splits) == len(pairs)
    return splits


def test_esc50_is_read(tmp_path: Path) -> None:
    clips = prepare_esc50(write_esc50(tmp_path))
    assert [clip.fold for clip in clips] == [1, 2, 3, 4, 5] * 2
    assert {clip.label for clip in clips} == {"kind0", "kind1"}
    assert clips[0].sources == {"esc50:1000", "freesound:1000"}
    assert all(clip.path.is_file() for clip in clips)


def test_urbansound8k_is_read(tmp_path: Path) -> None:
    rows = [
        {"slice_file_name": f"{i}-3-0-0.wav", "fsID": i, "fold": fold, "class": "dog_bark"}
        for i, fold in enumerate((1, 10))
    ]
    write_table(tmp_path / "metadata" / "UrbanSound8K.csv", rows)
    for row in rows:
        touch(tmp_path / "audio" / f"fold{row['fold']}" / str(row["slice_file_name"]))
    clips = prepare_us8k(tmp_path)
    assert [(clip.label, clip.fold) for clip in clips] == [("dog_bark", 1), ("dog_bark", 10)]
    assert clips[1].sources == {"freesound:1"}
    assert all(clip.path.is_file() for clip in clips)


def test_speech_commands_has_its_lists_and_noise_is_skipped(tmp_path: Path) -> None:
    for word in ("yes", "no"):
        for i in range(3):
            touch(tmp_path / word / f"{i}_nohash_0.wav")
    touch(tmp_path / "_background_noise_" / "pink_noise.wav")
    (tmp_path / "validation_list.txt").write_text("yes/1_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("no/2_nohash_0.wav\nyes/2_nohash_0.wav\n")
    found = {f"{c.label}/{c.path.name[0]}": c.split for c in prepare_spcv2(tmp_path)}
    assert found == {
        "no/0": "train",
        "no/1": "train",
        "no/2": "test",
        "yes/0": "train",
        "yes/1": "valid",
        "yes/2": "test",
    }


def test_voxceleb1_has_the_identification_split(tmp_path: Path) -> None:
    lines = ["1 id10001/abc/00001.wav", "2 id10001/abc/00002.wav", "3 id10002/def/00001.wav"]
    (tmp_path / "iden_split.txt").write_text("\n".join(lines) + "\n")
    clips = prepare_vc1(tmp_path)
    assert [clip.split for clip in clips] == ["train", "valid", "test"]
    assert [clip.label for clip in clips] == ["id10001", "id10001", "id10002"]
    assert clips[2].path == tmp_path / "wav" / "id10002/def/00001.wav"
    (tmp_path / "iden_split.txt").write_text("4 id10001/abc/00001.wav\n")
    with pytest.raises(DatasetError, match="split '4'"):
        prepare_vc1(tmp_path)


def test_a_submission_of_voxforge_stays_together(tmp_path: Path) -> None:
    for language in ("en", "de"):
        for archive in range(20):
            for i in range(2):
                touch(tmp_path / language / f"speaker-{archive}" / "wav" / f"{i}.wav")
    clips = prepare_voxforge(tmp_path)
    assert Counter(clip.label for clip in clips) == {"en": 40, "de": 40}
    assert Counter(clip.split for clip in clips) == {"train": 56, "valid": 12, "test": 12}
    splits_by_group(clips, lambda clip: str(clip.path.parents[1]))


def test_a_speaker_of_crema_d_stays_together(tmp_path: Path) -> None:
    for speaker in range(1001, 1011):
        for emotion in ("ANG", "SAD"):
            touch(tmp_path / "AudioWAV" / f"{speaker}_IEO_{emotion}_HI.wav")
    clips = prepare_cremad(tmp_path)
    assert Counter(clip.split for clip in clips) == {"train": 14, "valid": 2, "test": 4}
    assert {clip.label for clip in clips} == {"ANG", "SAD"}
    splits_by_group(clips, lambda clip: clip.path.name[:4])
    touch(tmp_path / "AudioWAV" / "1001_IEO_JOY_HI.wav")
    with pytest.raises(DatasetError, match="1001_IEO_JOY_HI"):
        prepare_cremad(tmp_path)


def test_a_folder_without_the_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"validation_list\.txt is not there"):
        prepare_spcv2(tmp_path)
    with pytest.raises(DatasetError, match=r"esc50\.csv is not there"):
        prepare_esc50(tmp_path)


def test_gtzan_has_the_clips_of_its_lists(tmp_path: Path) -> None:
    for i in range(4):
        touch(tmp_path / "genres" / "blues" / f"blues.0000{i}.wav")
    for i, split in enumerate(("train", "valid", "test")):
        (tmp_path / f"{split}_filtered.txt").write_text(f"blues/blues.0000{i}.wav\n")
    clips = prepare_gtzan(tmp_path)
    assert [(c.path.name, c.label, c.split) for c in clips] == [
        ("blues.00000.wav", "blues", "train"),
        ("blues.00001.wav", "blues", "valid"),
        ("blues.00002.wav", "blues", "test"),
    ]
    assert all(clip.path.is_file() for clip in clips)


def test_nsynth_is_read_from_its_three_parts(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        folder = tmp_path / f"nsynth-{split}"
        touch(folder / "audio" / f"{split}_001.wav")
        note = {f"{split}_001": {"instrument_family_str": "guitar", "pitch": 60}}
        (folder / "examples.json").write_text(json.dumps(note))
    clips = prepare_nsynth(tmp_path)
    assert [(c.label, c.split) for c in clips] == [
        ("guitar", "train"),
        ("guitar", "valid"),
        ("guitar", "test"),
    ]
    assert all(clip.path.is_file() for clip in clips)
    (tmp_path / "nsynth-test" / "examples.json").unlink()
    with pytest.raises(DatasetError, match=r"examples\.json is not there"):
        prepare_nsynth(tmp_path)


def test_a_tone_of_surge_stays_together_and_the_note_is_the_class(tmp_path: Path) -> None:
    for tone in range(42):
        for note in (21, 60):
            touch(tmp_path / f"tone{tone}" / f"{note}.ogg")
    clips = prepare_surge(tmp_path)
    assert {clip.label for clip in clips} == {"21", "60"}
    splits = splits_by_group(clips, lambda clip: clip.path.parent.name)
    assert Counter(splits.values()) == {"train": 34, "valid": 4, "test": 4}
