"""Checks of a catalogue against its own checksums, a page of rows at a time.

`service.library.verify` runs them. Also the marks of damaged audio files, which are in the
catalogue so that every process refuses these files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from service.catalog.checksums import vector_checksum, window_checksum
from service.catalog.database import Database
from service.catalog.records import COLUMNS, read_record
from service.clips import ClipRecord
from service.errors import LibraryDamagedError

Table = Literal["clips", "vectors", "windows"]

SMALL_TABLES = ("meta", "writes", "clips", "unembedded", "deletions", "damaged_audio")
"""Tables without embeddings, whose structure is checked in a moment."""

_MOST_FAULTS = 100
_SELECT: dict[Table, str] = {
    "clips": f"seq, seq, {COLUMNS}",
    "vectors": "rowid, seq, fingerprint, precision, embedding, checksum",
    "windows": "rowid, seq, fingerprint, number, start_s, end_s, embedding, checksum",
}
_CHECKSUMS: dict[Table, Callable[..., int]] = {
    "vectors": vector_checksum,
    "windows": window_checksum,
}
_PAGE_ROWS = 1024
_MILLION = 1_000_000


@dataclass(slots=True)
class Page:
    """Rows that were checked.

    Attributes:
        last: The row that the next page follows; None after the last page.
        n_checked: Number of rows.
        damaged: Numbers of the clips of rows whose checksum differs.
        records: The intact records, of a page of clips.
    """

    last: int | None
    n_checked: int
    damaged: list[int] = field(default_factory=list)
    records: list[ClipRecord] = field(default_factory=list)


def check_rows(
    database: Database, table: Table, after: int, limit: int, *, share: float = 1.0
) -> Page:
    """Check rows of a table by their checksums.

    Args:
        database: The catalogue.
        table: The table.
        after: Row that the page follows; 0 for the first page.
        limit: Most rows.
        share: Share of the rows that is checked, drawn at random, above 0 to 1.
    """
    key = "seq" if table == "clips" else "rowid"
    n_drawn = math.ceil(share * _MILLION)
    drawn = "" if share >= 1 else f" AND abs(random() % {_MILLION}) < {n_drawn}"
    rows = database.query(
        f"SELECT {_SELECT[table]} FROM {table} WHERE {key} > ?{drawn} ORDER BY {key} LIMIT ?",
        *(after, limit),
    )
    page = Page(rows[-1][0] if len(rows) == limit else None, len(rows))
    for _, seq, *row in rows:
        if table == "clips":
            record = read_record(row)
            is_intact = record is not None
            if record is not None:
                page.records.append(record)
        else:
            is_intact = _matches(_CHECKSUMS[table], seq, row)
        if not is_intact:
            page.damaged.append(seq)
    return page


def find_damaged_clips(database: Database, fingerprint: str) -> list[int]:
    """Return the numbers of the clips of which an embedding by this encoder is damaged."""
    damaged: set[int] = set()
    for table, checksum in _CHECKSUMS.items():
        after: int | None = 0
        while after is not None:
            rows = database.query(
                f"SELECT {_SELECT[table]} FROM {table} WHERE rowid > ? AND fingerprint = ?"
                " ORDER BY rowid LIMIT ?",
                *(after, fingerprint, _PAGE_ROWS),
            )
            damaged.update(seq for _, seq, *row in rows if not _matches(checksum, seq, row))
            after = rows[-1][0] if rows else None
    return sorted(damaged)


def find_structural_faults(database: Database, *, tables: tuple[str, ...] = ()) -> list[str]:
    """Return what SQLite finds wrong in the structure of the catalogue.

    Args:
        database: The catalogue.
        tables: Check only these tables and their indexes, and no references between tables.
    """
    checks = [f"PRAGMA integrity_check({name})" for name in tables or (_MOST_FAULTS,)]
    faults: list[str] = []
    try:
        for check in checks:
            faults += [row[0] for row in database.query(check) if row[0] != "ok"]
        if not tables:
            faults += [
                f"row {rowid} of {table} refers to a row of {parent} that does not exist"
                for table, rowid, parent, _ in database.query("PRAGMA foreign_key_check")
            ]
    except LibraryDamagedError as error:
        faults.append(error.detail)
    return faults[:_MOST_FAULTS]


def count_rows(database: Database) -> int:
    """Count clips, vectors and windows together."""
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in _SELECT)
    return int(database.query(f"SELECT {counts}")[0][0])


def count_audio(database: Database) -> int:
    """Count the clips with audio."""
    return int(database.query("SELECT count(path) FROM clips")[0][0])


def is_named(database: Database, record: ClipRecord) -> bool:
    """Tell whether the clip of a record still has this audio."""
    query = "SELECT 1 FROM clips WHERE id = ? AND path = ? AND sha256 = ?"
    return bool(database.query(query, record.id, record.path, record.sha256))


def mark_audio(database: Database, path: str, fault: str | None) -> None:
    """Mark an audio file as damaged, durably, or remove its mark.

    Args:
        database: The catalogue.
        path: The file, as it stands in records.
        fault: What is wrong; None if it is intact.
    """
    if fault == audio_fault(database, path):
        return
    with database.transaction("write") as db:
        if fault is None:
            db.execute("DELETE FROM damaged_audio WHERE path = ?", (path,))
        else:
            db.execute("INSERT OR REPLACE INTO damaged_audio VALUES (?, ?)", (path, fault))
            db.execute("DELETE FROM damaged_audio WHERE path NOT IN (SELECT path FROM clips)")


def audio_fault(database: Database, path: str) -> str | None:
    """Return what is wrong with an audio file according to its mark; None without one."""
    rows = database.query("SELECT fault FROM damaged_audio WHERE path = ?", path)
    return rows[0][0] if rows else None


def damaged_audio(database: Database) -> list[str]:
    """Return the audio files that are marked as damaged."""
    return [row[0] for row in database.query("SELECT path FROM damaged_audio")]


def _matches(checksum: Callable[..., int], seq: int, row: list[Any]) -> bool:
    *values, stated = row
    return bool(checksum(seq, *values) == stated)
