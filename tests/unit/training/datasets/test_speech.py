from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tiny_datasets import touch

from training.datasets.speech import (
    prepare_cremad,
    prepare_spcv2,
    prepare_vc1,
    prepare_voxforge,
)
from training.errors import DatasetError


def test_speech_commands_has_its_lists_and_its_noise_is_no_word(tmp_path: Path) -> None:
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
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.path.parents[1]].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())


def test_a_speaker_of_crema_d_stays_together(tmp_path: Path) -> None:
    for speaker in range(1001, 1011):
        for emotion in ("ANG", "SAD"):
            touch(tmp_path / "AudioWAV" / f"{speaker}_IEO_{emotion}_HI.wav")
    clips = prepare_cremad(tmp_path)
    assert Counter(clip.split for clip in clips) == {"train": 14, "valid": 2, "test": 4}
    assert {clip.label for clip in clips} == {"ANG", "SAD"}
    speakers = defaultdict(set)
    for clip in clips:
        speakers[clip.path.name[:4]].add(clip.split)
    assert all(len(found) == 1 for found in speakers.values())
    touch(tmp_path / "AudioWAV" / "1001_IEO_JOY_HI.wav")
    with pytest.raises(DatasetError, match="1001_IEO_JOY_HI"):
        prepare_cremad(tmp_path)


def test_a_missing_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"validation_list\.txt is not there"):
        prepare_spcv2(tmp_path)
