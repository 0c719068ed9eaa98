"""Write the metadata of a task from the folder that its data set unpacks to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.datasets.generic import prepare_folder, prepare_manifest
from training.datasets.metadata import TaskClip, write_metadata
from training.datasets.tasks import TASKS
from training.errors import DatasetError
from training.recipe import Columns

FOLDER, MANIFEST = "folder", "manifest"


def prepare_task(task: str, source: Path, out: Path, where: Sequence[str] = ()) -> str:
    """Write the metadata of a task.

    Args:
        task: Name of one of ``TASKS``, ``folder`` or ``manifest``.
        source: Folder of the data set, or a manifest.
        out: CSV to write.
        where: Conditions ``column=value`` for the rows of a manifest.

    Returns:
        A line with the numbers of clips and classes, and those of the paper if they differ.

    Raises:
        DatasetError: There is no such task, or the source does not have its form.
    """
    clips = _prepare(task, source, where)
    write_metadata(out, clips)
    classes = len({clip.label for clip in clips})
    line = f"{out}: {len(clips)} clips of {classes} classes"
    known = TASKS.get(task)
    if known and (known.clips not in (None, len(clips)) or known.classes not in (None, classes)):
        wanted = f"{known.clips or 'any number of'} clips of {known.classes} classes"
        line += f"; the paper's data set has {wanted}, so results are not comparable with its"
    return line


def _prepare(task: str, source: Path, where: Sequence[str]) -> list[TaskClip]:
    if task == MANIFEST:
        return prepare_manifest(source, _columns(where))
    if where:
        raise DatasetError("--where chooses rows of a manifest, and this is none")
    if not source.is_dir():
        raise DatasetError(f"{source} is no folder")
    if task == FOLDER:
        return prepare_folder(source)
    known = TASKS.get(task)
    if known is None or known.prepare is None:
        raise DatasetError(f"no task {task!r}; there are {', '.join(TASKS)}, {FOLDER}, {MANIFEST}")
    return known.prepare(source)


def _columns(where: Sequence[str]) -> Columns:
    columns: dict[str, list[str | int] | str | int] = {}
    for condition in where:
        column, separator, value = condition.partition("=")
        if not separator:
            raise DatasetError(f"--where {condition}: expected column=value")
        columns[column] = [*value.split(",")]
    return columns
