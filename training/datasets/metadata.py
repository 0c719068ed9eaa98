"""Metadata of a task of linear evaluation: one CSV format for all data sets.

Its columns are ``path`` (relative to the CSV), ``label``, ``split`` (train, valid, test) or
``fold`` (a number), and ``sources``: the recordings that the clip comes from, if they are known.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.manifest import write_table
from training.errors import DatasetError

COLUMNS = ("path", "label", "split", "fold", "sources")
SPLITS = ("train", "valid", "test")
SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class TaskClip:
    """One clip of a task.

    Attributes:
        path: The file.
        label: Its class.
        split: ``train``, ``valid`` or ``test``; empty if the task has folds.
        fold: Its fold; None if the task has splits.
        sources: Names of the recordings it comes from, and its name in the manifest; empty if
            they are not known.
    """

    path: Path
    label: str
    split: str = ""
    fold: int | None = None
    sources: frozenset[str] = frozenset()


def write_metadata(path: Path, clips: Sequence[TaskClip]) -> None:
    """Write the metadata of a task, sorted by path.

    Raises:
        DatasetError: There are no clips, or files of some do not exist.
    """
    missing = [clip.path for clip in clips if not clip.path.is_file()]
    if not clips or missing:
        named = f"; {len(missing)} of them are missing, such as {missing[0]}" if missing else ""
        raise DatasetError(f"the data set names {len(clips)} clips{named}")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.resolve()
    rows = [
        {
            "path": Path(os.path.relpath(clip.path.resolve(), folder)).as_posix(),
            "label": clip.label,
            "split": clip.split,
            "fold": "" if clip.fold is None else str(clip.fold),
            "sources": join_sources(clip.sources),
        }
        for clip in sorted(clips, key=lambda clip: str(clip.path))
    ]
    write_table(path, COLUMNS, rows)


def read_metadata(path: Path) -> list[TaskClip]:
    """Read the metadata of a task.

    Raises:
        DatasetError: It does not exist or is not valid; the message says why.
    """
    if not path.is_file():
        raise DatasetError(f"there is no metadata {path}; 'data prepare' makes it")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if absent := set(COLUMNS[:2]) - set(rows.fieldnames or []):
            raise DatasetError(f"{path} has no column {', '.join(sorted(absent))}")
        clips = [_read_row(path, row) for row in rows]
    _check_splits(path, clips)
    return clips


def join_sources(names: Iterable[str]) -> str:
    """Join names of sources to the text of one cell."""
    return SEPARATOR.join(sorted(names))


def split_sources(cell: str) -> frozenset[str]:
    """Split the text of one cell into names of sources."""
    return frozenset(filter(None, cell.split(SEPARATOR)))


def _read_row(path: Path, row: dict[str, str]) -> TaskClip:
    split, fold = row.get("split") or "", row.get("fold") or ""
    if split not in ("", *SPLITS) or not (fold or "0").isdigit() or bool(split) == bool(fold):
        raise DatasetError(
            f"{path}, {row['path']}: split is {split!r} and fold {fold!r}; either a split of "
            f"{', '.join(SPLITS)} or the number of a fold is needed"
        )
    return TaskClip(
        path=path.parent / row["path"],
        label=row["label"],
        split=split,
        fold=int(fold) if fold else None,
        sources=split_sources(row.get("sources") or ""),
    )


def _check_splits(path: Path, clips: Sequence[TaskClip]) -> None:
    folds, splits = {clip.fold for clip in clips}, {clip.split for clip in clips}
    if None in folds and len(folds) > 1:
        raise DatasetError(f"{path} has folds for some clips and splits for others")
    if folds == {None} and not {"train", "test"} <= splits:
        raise DatasetError(f"{path} needs clips of the splits train and test; it has {splits}")
    if None not in folds and len(folds) < 2:
        raise DatasetError(f"{path} has {len(folds)} fold; at least two are needed")
