"""Records of clips as rows of the table `clips`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson

from service.catalog.database import Connection
from service.clips import ClipRecord

_NAMES = tuple(field.name for field in fields(ClipRecord) if field.name != "windows")
COLUMNS = ", ".join(_NAMES)
"""SQL: columns of a record without its number of windows."""
COLUMNS_AND_WINDOWS = (
    f"{COLUMNS}, (SELECT ifnull(max(number), 0) FROM windows"
    " WHERE windows.seq = clips.seq AND windows.fingerprint = ?)"
)
"""SQL: columns of a record; the parameter is the encoder whose windows are counted."""
_UPSERT = (
    f"INSERT INTO clips (revision, {COLUMNS}) VALUES (?{', ?' * len(_NAMES)})"
    " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES)
    + " RETURNING seq"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A clip that was written: its record, and the record that it replaced, if any."""

    record: ClipRecord
    previous: ClipRecord | None


def read_record(row: Sequence[Any]) -> ClipRecord:
    """Make a record of the columns `COLUMNS_AND_WINDOWS`, or of `COLUMNS` alone."""
    values = dict(zip((*_NAMES, "windows"), row, strict=False))
    return ClipRecord(**values | {"metadata": orjson.loads(values["metadata"])})


def write_record(db: Connection, revision: int, record: ClipRecord) -> tuple[int, Written]:
    """Add a clip or replace that of the same id, which keeps its number and time of creation.

    Returns:
        The number of the clip, and its records.
    """
    row = db.execute(f"SELECT {COLUMNS} FROM clips WHERE id = ?", (record.id,)).fetchone()
    previous = row and read_record(row)
    if previous:
        record = replace(record, created_at=previous.created_at)
    values = {name: getattr(record, name) for name in _NAMES}
    values["metadata"] = orjson.dumps(record.metadata).decode()
    (seq,) = db.execute(_UPSERT, (revision, *values.values())).fetchone()
    return seq, Written(record, previous)
