from __future__ import annotations

from pathlib import Path

import pytest
from tiny_datasets import touch, write_esc50, write_table

from training.datasets.environmental import prepare_esc50, prepare_us8k
from training.errors import DatasetError


def test_esc50_is_read_from_its_own_folder(tmp_path: Path) -> None:
    clips = prepare_esc50(write_esc50(tmp_path))
    assert [clip.fold for clip in clips] == [1, 2, 3, 4, 5] * 2
    assert {clip.label for clip in clips} == {"kind0", "kind1"}
    assert clips[0].sources == {"esc50:1000", "freesound:1000"}
    assert all(clip.path.is_file() for clip in clips)


def test_urbansound8k_is_read_from_its_own_folder(tmp_path: Path) -> None:
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


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"esc50\.csv is not there"):
        prepare_esc50(tmp_path)
