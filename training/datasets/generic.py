"""Readers of any folder with a folder for each class, and of any manifest with labels."""

from __future__ import annotations

from pathlib import Path

from training.data.manifest import read_clips
from training.data.splits import matches, sources
from training.datasets.group_splits import draw_group_splits
from training.datasets.metadata import SPLITS, TaskClip
from training.errors import DatasetError
from training.recipe import Columns

SEED = 42


def prepare_folder(source: Path) -> list[TaskClip]:
    """Read a folder with a folder for each class.

    If the first level consists of ``train``, ``test`` and perhaps ``valid``, with the classes
    below, these are the splits. Otherwise 70, 10 and 20 % of each class are drawn.

    Raises:
        DatasetError: A file is in no folder of a class.
    """
    files = read_clips(source)
    parts = {clip.name: Path(clip.name).parts for clip in files}
    if files and all(names[0] in SPLITS and len(names) > 2 for names in parts.values()):
        return [TaskClip(c.path, parts[c.name][1], split=parts[c.name][0]) for c in files]
    if wrong := [name for name, names in parts.items() if len(names) < 2]:
        raise DatasetError(f"{source}: {wrong[0]} is not in a folder with the name of its class")
    splits: dict[str, str] = {}
    for label in {names[0] for names in parts.values()}:
        members = [name for name, names in parts.items() if names[0] == label]
        splits |= draw_group_splits(members, SEED, valid=0.1, test=0.2)
    return [TaskClip(c.path, parts[c.name][0], split=splits[c.name]) for c in files]


def prepare_manifest(source: Path, where: Columns) -> list[TaskClip]:
    """Read the matching rows of a manifest.

    Args:
        source: CSV with the columns ``path``, ``label``, and ``split`` or ``fold``.
        where: Columns, and for each the values of the rows to read.

    Raises:
        DatasetError: No row matches, or a row has no label or neither split nor fold.
    """
    clips = [clip for clip in read_clips(source) if matches(clip, where)]
    if not clips or any("label" not in clip.columns for clip in clips):
        raise DatasetError(f"{source}: no rows match {where}, or they have no column 'label'")
    prepared = []
    for clip in clips:
        fold, split = clip.columns.get("fold") or "", clip.columns.get("split") or ""
        if not fold.isdigit() and split not in SPLITS:
            raise DatasetError(
                f"{source}, {clip.name}: split is {split!r} and fold {fold!r}; a split of "
                f"{', '.join(SPLITS)} or the number of a fold is needed"
            )
        prepared.append(
            TaskClip(
                clip.path,
                clip.columns["label"],
                split="" if fold.isdigit() else split,
                fold=int(fold) if fold.isdigit() else None,
                sources=sources(clip) | {clip.name},
            )
        )
    return prepared
