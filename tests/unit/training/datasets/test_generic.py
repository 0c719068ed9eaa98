from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tiny_datasets import touch, write_corpora

from training.datasets.generic import prepare_folder, prepare_manifest
from training.errors import DatasetError


def test_a_fifth_of_each_class_in_a_folder_is_for_testing(tmp_path: Path) -> None:
    for label in ("dog", "cat"):
        for i in range(20):
            touch(tmp_path / label / f"{i}.wav")
    clips = prepare_folder(tmp_path)
    assert Counter((c.label, c.split) for c in clips) == {
        (label, split): n
        for label in ("dog", "cat")
        for split, n in (("train", 14), ("valid", 2), ("test", 4))
    }


def test_folders_of_splits_are_used_as_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        touch(tmp_path / split / "dog" / f"{split}.wav")
    clips = prepare_folder(tmp_path)
    assert {(c.path.name, c.label, c.split) for c in clips} == {
        ("train.wav", "dog", "train"),
        ("test.wav", "dog", "test"),
    }


def test_a_file_without_a_class_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "stray.wav")
    with pytest.raises(DatasetError, match=r"stray\.wav is not in a folder"):
        prepare_folder(tmp_path)


def test_rows_of_a_manifest_keep_their_folds_splits_and_sources(tmp_path: Path) -> None:
    manifest = write_corpora(tmp_path)
    events = prepare_manifest(manifest, {"corpus": ["esc50"]})
    assert Counter(clip.fold for clip in events) == dict.fromkeys(range(1, 6), 2)
    assert {"esc50:1000", "freesound:1000"} < events[0].sources
    words = prepare_manifest(manifest, {"corpus": "words"})
    assert [clip.split for clip in words] == ["train", "train", "test"]
    assert words[2].sources == {"speaker2", "words/w2.wav"}


def test_rows_without_split_or_fold_are_refused(tmp_path: Path) -> None:
    manifest = write_corpora(tmp_path)
    with pytest.raises(DatasetError, match="split is '' and fold ''"):
        prepare_manifest(manifest, {"corpus": "sfx"})
    with pytest.raises(DatasetError, match="no rows match"):
        prepare_manifest(manifest, {"corpus": "none"})
