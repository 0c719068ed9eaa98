"""List audio files of a folder, or of a CSV manifest with columns about them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.audio.decoding import AUDIO_SUFFIXES
from training.errors import DatasetError


@dataclass(frozen=True, slots=True)
class SourceClip:
    """One audio file.

    Attributes:
        root: Folder that the name is relative to.
        name: Path below the root, with forward slashes.
        columns: The file's row of the manifest; empty for a folder.
    """

    root: Path
    name: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.root / self.name

    @property
    def recording(self) -> str:
        """The recording it was cut from; clips of one recording are on one side of a split."""
        return self.columns.get("recording") or self.name


def read_clips(data: Path) -> list[SourceClip]:
    """List all clips of a folder or of a manifest in a fixed order.

    Args:
        data: A folder, searched with its sub-folders, or a CSV manifest with a column ``path``
            relative to the manifest.

    Raises:
        DatasetError: ``data`` does not exist, or has no such column.
    """
    return _read_manifest(data) if data.is_file() else _walk(data)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows as a CSV file, in the order of the columns."""
    with path.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _walk(folder: Path) -> list[SourceClip]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is neither a folder nor a manifest")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    return [SourceClip(folder, path.relative_to(folder).as_posix()) for path in files]


def _read_manifest(manifest: Path) -> list[SourceClip]:
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if "path" not in (rows.fieldnames or []):
            raise DatasetError(f"{manifest} has no column 'path'; it has {rows.fieldnames}")
        return [SourceClip(manifest.parent, row["path"], row) for row in rows]
