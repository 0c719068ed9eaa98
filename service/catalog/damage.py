"""Damaged catalogues: what is reported, and the check of a catalogue before it is used.

The check reads the file without changing it, and without applying its write-ahead log to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from service.errors import LibraryError

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY_TIMEOUT_S = 60.0


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise a `LibraryError` instead of SQLite's errors for a damaged database.

    Raises:
        LibraryError: The file is damaged or is no database, or lacks a table or column.
    """
    try:
        yield
    except sqlite3.DatabaseError as err:
        # Python gives no code to text that is not UTF-8.
        code = getattr(err, "sqlite_errorcode", None)
        is_unreadable = isinstance(err, sqlite3.OperationalError) and (
            code is None or code == sqlite3.SQLITE_ERROR
        )
        if is_unreadable or (code is not None and code & 0xFF in _DAMAGED):
            raise damaged(path, str(err)) from err
        raise


def damaged(path: Path, reason: str) -> LibraryError:
    """Return the error for a damaged catalogue."""
    return LibraryError(
        f"{path} is damaged ({' '.join(reason.split())}). Stop every process that uses it and keep"
        " the files; then restore a backup into another folder, or rebuild the catalogue with"
        f" `sqlite3 {path} .recover`"
    )


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
        raise damaged(path, "; ".join(str(row[0]) for row in rows))


def has_tables(path: Path) -> bool:
    """Tell whether a database has any table.

    Raises:
        LibraryError: It is damaged or cannot be read.
    """
    # A process that was killed while it made the catalogue leaves a journal to be rolled back.
    journal = path.with_name(f"{path.name}-journal")
    mode = "rw" if journal.exists() else "ro"
    return bool(_read(path, "SELECT 1 FROM sqlite_schema LIMIT 1", f"mode={mode}"))


def read_only(path: Path, query: str, *, is_alone: bool = False) -> list[Any]:
    """Run one query on a database without writing to it; see `quick_check`."""
    return _read(path, query, "mode=ro&immutable=1" if is_alone else "mode=ro")


def _read(path: Path, query: str, options: str) -> list[Any]:
    try:
        with damage_reported(path):
            uri = f"{path.absolute().as_uri()}?{options}"
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S)) as db:
                return db.execute(query).fetchall()
    except sqlite3.Error as err:
        raise LibraryError(f"{path} cannot be used as a catalogue: {err}") from err
