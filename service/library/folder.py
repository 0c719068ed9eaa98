"""The audio files of a folder, and the CSV table of their metadata."""

from __future__ import annotations

import csv
import os
import posixpath
import re
from pathlib import Path

from service.audio.decoding import AUDIO_SUFFIXES
from service.catalog.filters import check_metadata
from service.clips import Metadata
from service.errors import MetadataInvalidError
from service.library.file_reader import Unreadable

FILE_COLUMN = "file"

# Numbers that a double holds without loss; longer ones are names, such as bar codes.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


def find_audio(folder: Path, *, skip: Path | None = None) -> tuple[list[Path], list[Unreadable]]:
    """Find the audio files below a folder, by their suffix, in a fixed order.

    Hidden files and folders, whose names start with a dot, are ignored, and so are links to
    folders.

    Args:
        folder: The folder.
        skip: A folder that is not searched, such as the library that receives the clips.

    Returns:
        The files, and the folders that cannot be listed.
    """
    found: list[Path] = []
    unreadable: list[Unreadable] = []

    def note(error: OSError) -> None:
        reason = error.strerror or str(error)
        unreadable.append(Unreadable(Path(error.filename), "folder_unreadable", reason))

    skipped = None if skip is None else skip.resolve()
    for root, folders, files in os.walk(folder, onerror=note):
        parent = Path(root)
        if skipped is not None and parent.resolve() == skipped:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [parent / name for name in sorted(files) if _is_audio(name)]
    return found, unreadable


def read_metadata(table: Path) -> dict[str, Metadata]:
    """Read a CSV file of metadata.

    The column `file` names files relative to their folder, with forward slashes; every other
    column is an entry of their metadata. The values of a column are numbers if all its cells are
    numbers, and text otherwise. An empty cell is no entry.

    Returns:
        The metadata of each file by its relative path.

    Raises:
        MetadataInvalidError: The table is invalid; the message names the line.
        OSError: It cannot be opened.
    """
    rows = _read_rows(table)
    numeric = {
        column
        for column in next(iter(rows.values()), {})
        if all(_NUMBER.fullmatch(row[column]) for row in rows.values() if row[column])
    }
    metadata = {}
    for file, row in rows.items():
        entries = {
            column: _number(cell) if column in numeric else cell
            for column, cell in row.items()
            if cell
        }
        try:
            metadata[file] = check_metadata(entries)
        except MetadataInvalidError as error:
            raise MetadataInvalidError(f"{table}, {file}: {error.detail}") from error
    return metadata


def _read_rows(table: Path) -> dict[str, dict[str, str]]:
    """Return the cells of each file by column, without the column `file`."""
    rows: dict[str, dict[str, str]] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            columns = next(reader, [])
            if columns.count(FILE_COLUMN) != 1 or len(set(columns)) < len(columns):
                raise MetadataInvalidError(
                    f"{table}: the first line must name the columns, each once, one of them"
                    f" {FILE_COLUMN!r}; it names {columns}"
                )
            for cells in filter(None, reader):
                _add_row(rows, columns, cells, where=f"{table}, line {reader.line_num}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise MetadataInvalidError(f"{table} is no CSV file in UTF-8: {error}") from error
    return rows


def _add_row(
    rows: dict[str, dict[str, str]], columns: list[str], cells: list[str], *, where: str
) -> None:
    if len(cells) != len(columns):
        raise MetadataInvalidError(
            f"{where}: there are {len(cells)} cells for {len(columns)} columns"
        )
    row = dict(zip(columns, cells, strict=True))
    file = posixpath.normpath(row.pop(FILE_COLUMN))
    if file in rows:
        raise MetadataInvalidError(f"{where}: {file} has a line already")
    rows[file] = row


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
