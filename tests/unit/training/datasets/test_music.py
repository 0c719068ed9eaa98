from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from tiny_datasets import touch

from training.datasets.music import prepare_gtzan, prepare_nsynth, prepare_surge
from training.errors import DatasetError


def test_gtzan_uses_what_its_lists_name(tmp_path: Path) -> None:
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
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.path.parent].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    counts = [sum(found == {split} for found in splits.values()) for split in ("valid", "test")]
    assert counts == [4, 4]
