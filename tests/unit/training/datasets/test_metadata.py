from __future__ import annotations

from pathlib import Path

import pytest
from tiny_datasets import touch

from training.datasets.metadata import TaskClip, read_metadata, write_metadata
from training.errors import DatasetError


def test_written_metadata_is_read_back(tmp_path: Path) -> None:
    clips = [
        TaskClip(touch(tmp_path / "data" / "a.wav"), "dog", fold=1),
        TaskClip(
            touch(tmp_path / "data" / "b.wav"), "cat", fold=2, sources=frozenset({"x", "y z"})
        ),
    ]
    write_metadata(tmp_path / "meta" / "esc50.csv", clips)
    read = read_metadata(tmp_path / "meta" / "esc50.csv")
    assert [clip.path.resolve() for clip in read] == [clip.path for clip in clips]
    assert [(c.label, c.fold, c.split, c.sources) for c in read] == [
        (c.label, c.fold, c.split, c.sources) for c in clips
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"1 of them are missing, such as .*gone\.wav"):
        write_metadata(tmp_path / "m.csv", [TaskClip(tmp_path / "gone.wav", "x", split="train")])
    with pytest.raises(DatasetError, match="names 0 clips"):
        write_metadata(tmp_path / "m.csv", [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path\na.wav\n", "no column label"),
        ("path,label,split\na.wav,x,dev\n", "split is 'dev'"),
        ("path,label,fold\na.wav,x,\n", "either a split"),
        ("path,label,split,fold\na.wav,x,train,1\n", "either a split"),
        ("path,label,split,fold\na.wav,x,train,\nb.wav,x,,2\n", "folds for some clips"),
        ("path,label,split\na.wav,x,train\n", "needs clips of the splits train and test"),
        ("path,label,fold\na.wav,x,3\n", "at least two"),
    ],
)
def test_the_fault_of_invalid_metadata_is_named(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=fault):
        read_metadata(tmp_path / "m.csv")


def test_for_missing_metadata_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data prepare"):
        read_metadata(tmp_path / "none.csv")
