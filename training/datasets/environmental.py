"""Preparers of ESC-50 and UrbanSound8K (facts, section 5.2)."""

from __future__ import annotations

import csv
from pathlib import Path

from training.datasets.metadata import TaskClip
from training.errors import DatasetError


def prepare_esc50(source: Path) -> list[TaskClip]:
    """Read ESC-50's own folder: ``meta/esc50.csv`` and ``audio/``; five folds.

    The source recording of a clip is the second part of its name.
    """
    clips = []
    for row in read_table(source / "meta" / "esc50.csv"):
        name = row["filename"]
        origin = name.split("-")[1]
        clips.append(
            TaskClip(
                source / "audio" / name,
                row["category"],
                fold=int(row["fold"]),
                sources=frozenset({f"esc50:{origin}", f"freesound:{origin}"}),
            )
        )
    return clips


def prepare_us8k(source: Path) -> list[TaskClip]:
    """Read UrbanSound8K's folder: ``metadata/UrbanSound8K.csv``, ``audio/foldN/``; ten folds."""
    clips = []
    for row in read_table(source / "metadata" / "UrbanSound8K.csv"):
        path = source / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
        origin = frozenset({f"freesound:{row['fsID']}"}) if row.get("fsID") else frozenset()
        clips.append(TaskClip(path, row["class"], fold=int(row["fold"]), sources=origin))
    return clips


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a data set's own table.

    Raises:
        DatasetError: It is not there.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is not there; give the folder the data set unpacks to")
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
