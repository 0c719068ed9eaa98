"""Preparers for any labelled folder and any manifest with labels."""

from __future__ import annotations

from pathlib import Path

from training.data.manifest import read_clips
from training.data.splits import matches, sources
from training.datasets.draws import draw_splits
from training.datasets.metadata import SPLITS, TaskClip
from training.errors import DatasetError
from training.recipe import Columns

SEED = 42


def prepare_folder(source: Path) -> list[TaskClip]:
    """Read a folder with a folder for each class.

    Where the first level is ``train``, ``test`` and perhaps ``valid``, with the classes below,
    those are the splits; otherwise 70, 10 and 20 % of each class are drawn with a seed.
    """
    files = read_clips(source)
    parts = [Path(clip.name).parts for clip in files]
    if files and all(part[0] in SPLITS and len(part) > 2 for part in parts):
        return [TaskClip(c.path, p[1], split=p[0]) for c, p in zip(files, parts, strict=True)]
    if wrong := [clip.name for clip, part in zip(files, parts, strict=True) if len(part) < 2]:
        raise DatasetError(f"{source}: {wrong[0]} lies in no folder that would name its class")
    splits: dict[str, str] = {}
    for label in {part[0] for part in parts}:
        members = [clip.name for clip in files if Path(clip.name).parts[0] == label]
        splits |= draw_splits(members, SEED, valid=0.1, test=0.2)
    return [
        TaskClip(clip.path, part[0], split=splits[clip.name])
        for clip, part in zip(files, parts, strict=True)
    ]


def prepare_manifest(source: Path, where: Columns) -> list[TaskClip]:
    """Read the rows of a manifest that match; it needs ``label``, and ``split`` or ``fold``.

    Args:
        source: CSV with a column ``path``.
        where: Columns and the values that let a row in.
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
                f"{', '.join(SPLITS)} or the number of a fold must stand there"
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
