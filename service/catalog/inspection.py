"""Inspection of a catalogue before it is used.

The file is read without changing it, and without moving its write-ahead log into it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from service.catalog.database import BUSY_TIMEOUT_S
from service.errors import LibraryError

SqliteError = sqlite3.Error
"""Any error of SQLite."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


@contextmanager
def faults_reported(path: Path) -> Iterator[None]:
    """Context manager: raises a `LibraryError` where SQLite cannot read a catalogue.

    Args:
        path: The database file.

    Raises:
        LibraryError: It is damaged, or cannot be opened, read or written.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as err:
        # Python gives no code to text that is not UTF-8, and cannot decode it in SQLite's messages.
        # A missing table or column is damage, too.
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF in _DAMAGED:
            raise _damaged(path, str(err)) from err
        raise LibraryError(f"{path} cannot be used as a catalogue: {err}") from err


def quick_check(path: Path, *, is_alone: bool = False) -> None:
    """Check the structure of a catalogue by reading all of it.

    Args:
        path: The database file.
        is_alone: No process writes to it, and a write-ahead log beside it is not part of it.

    Raises:
        LibraryError: It is damaged or cannot be read.
    """
    rows = read_only(path, "PRAGMA quick_check(1)", is_alone=is_alone)
    if rows != [("ok",)]:
        raise _damaged(path, "; ".join(str(row[0]) for row in rows))


def has_tables(path: Path) -> bool:
    """Tell whether a database has any table.

    Raises:
        LibraryError: It is damaged or cannot be read.
    """
    # A process that was killed while it made the catalogue leaves a journal to be rolled back.
    journal = path.with_name(f"{path.name}-journal")
    query, mode = "SELECT 1 FROM sqlite_schema LIMIT 1", "rw" if journal.exists() else "ro"
    try:
        return bool(_read(path, query, f"mode={mode}"))
    except LibraryError:
        # On a full disk, SQLite cannot make the file that readers share.
        log = path.with_name(f"{path.name}-wal")
        if mode == "rw" or (log.exists() and log.stat().st_size):
            raise
        return bool(read_only(path, query, is_alone=True))


def read_only(path: Path, query: str, *, is_alone: bool = False) -> list[Any]:
    """Run one query on a database without writing to it; see `quick_check`."""
    return _read(path, query, "mode=ro&immutable=1" if is_alone else "mode=ro")


def _read(path: Path, query: str, options: str) -> list[Any]:
    uri = f"{path.absolute().as_uri()}?{options}"
    with (
        faults_reported(path),
        closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as db,
    ):
        return db.execute(query).fetchall()


def _damaged(path: Path, reason: str) -> LibraryError:
    """Return the error for a damaged catalogue."""
    return LibraryError(
        f"{path} is damaged ({' '.join(reason.split())}). Stop every process that uses it and keep"
        " the files; then restore a backup into another folder, or rebuild the catalogue with"
        f" `sqlite3 {path} .recover`"
    )
