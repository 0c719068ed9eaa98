"""Records of clips as rows of the table `clips`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson

from service.catalog.checksums import record_checksum
from service.catalog.database import Connection
from service.clips import ClipRecord
from service.errors import LibraryDamagedError

NAMES = tuple(field.name for field in fields(ClipRecord) if field.name != "windows")
"""Columns of a record, without its number of windows."""
COLUMNS = ", ".join((*NAMES, "checksum"))
"""SQL: columns of a record and its checksum, without its number of windows."""
COLUMNS_AND_WINDOWS = (
    f"{COLUMNS}, (SELECT ifnull(max(number), 0) FROM windows"
    " WHERE windows.seq = clips.seq AND windows.fingerprint = ?)"
)
"""SQL: columns of a record; the parameter is the encoder whose windows are counted."""
BY_ID = "seq = (SELECT seq FROM clips WHERE id = ?)"
"""SQL: the clip of an id, with all columns from the table and none from the index of ids."""
_UPSERT = (
    f"INSERT INTO clips (revision, {COLUMNS}) VALUES (?, ?{', ?' * len(NAMES)})"
    " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, "
    + ", ".join(f"{name} = excluded.{name}" for name in (*NAMES, "checksum"))
    + " RETURNING seq"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A clip that was written.

    Attributes:
        record: Its record.
        previous: The record that it replaced; None if there was none, or if it was damaged.
        is_new: Whether there was no clip of this id.
    """

    record: ClipRecord
    previous: ClipRecord | None
    is_new: bool


def read_record(row: Sequence[Any]) -> ClipRecord | None:
    """Make a record of the columns `COLUMNS_AND_WINDOWS`, or of `COLUMNS` alone.

    Returns:
        The record; None if it is damaged, that is, its checksum differs.
    """
    n = len(NAMES)
    if record_checksum(row[:n]) != row[n]:
        return None
    values = dict(zip((*NAMES, "windows"), (*row[:n], *row[n + 1 :]), strict=False))
    return ClipRecord(**values | {"metadata": orjson.loads(values["metadata"])})


def check_found(record: ClipRecord | None, clip_id: str) -> None:
    """Raise an error if the index of ids has led to another clip.

    Raises:
        LibraryDamagedError: The record is intact and has another id.
    """
    if record is not None and record.id != clip_id:
        raise LibraryDamagedError(
            f"the index of ids names clip {record.id!r} for {clip_id!r:.140}: restore a backup"
        )


def write_record(db: Connection, revision: int, record: ClipRecord) -> tuple[int, Written]:
    """Add a clip or replace that of the same id, which keeps its number and time of creation.

    Returns:
        The number of the clip, and its records.
    """
    row = db.execute(f"SELECT {COLUMNS} FROM clips WHERE {BY_ID}", (record.id,)).fetchone()
    previous = None if row is None else read_record(row)
    check_found(previous, record.id)
    if previous:
        record = replace(record, created_at=previous.created_at)
    values = {name: getattr(record, name) for name in NAMES}
    values["metadata"] = orjson.dumps(record.metadata).decode()
    if record.duration_s is not None:
        values["duration_s"] = float(record.duration_s)  # as the column returns it
    stored = tuple(values.values())
    (seq,) = db.execute(_UPSERT, (revision, *stored, record_checksum(stored))).fetchone()
    return seq, Written(record, previous, row is None)
