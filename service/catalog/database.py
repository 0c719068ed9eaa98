"""A SQLite database for any number of threads and processes; every commit is durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from service.errors import LibraryDamagedError, LibraryError

Connection = sqlite3.Connection
Cursor = sqlite3.Cursor
Value = str | bytes | int | float | None

_BUSY_TIMEOUT_S = 60.0
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}


class Database:
    """Connections to one database file.

    Args:
        path: The file; made if there is none.
        schema: SQL that makes the tables; run if the database has none. Two processes must not do
            that at the same time.

    Raises:
        LibraryError: The file cannot be opened or is not a database. All methods raise a
            `LibraryDamagedError` if its content is damaged so that SQLite cannot read it.
    """

    def __init__(self, path: Path, *, schema: str) -> None:
        self._path = path
        self._idle: list[Connection] = []
        try:
            if not self.query("SELECT 1 FROM sqlite_schema LIMIT 1"):
                with self._connection() as db:
                    db.executescript(f"BEGIN; {schema} COMMIT;")
        except LibraryDamagedError:
            self.close()
            raise
        except sqlite3.Error as err:
            self.close()
            raise LibraryError(f"{path} cannot be used as a catalogue: {err}") from err

    def query(self, sql: str, *parameters: Value) -> list[Any]:
        """Run one SELECT statement and return all its rows."""
        with self._connection() as db:
            return db.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self, mode: Literal["read", "write"]) -> Iterator[Connection]:
        """Context manager of a transaction: reads see one state, writes take effect together.

        A write is on the disk when the context has ended. Writers wait for each other.

        Args:
            mode: "read" may run beside a writer; "write" takes the lock of the writer.
        """
        with self._connection() as db:
            try:
                db.execute("BEGIN DEFERRED" if mode == "read" else "BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def copy_to(self, path: Path) -> None:
        """Copy the database, as it is at one moment, into one new file without a journal."""
        with self._connection() as db:
            target = sqlite3.connect(path)
            try:
                db.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                target.close()

    def close(self) -> None:
        """Close all connections; no call may be running or follow."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Context manager: yields an idle connection, or opens one if there is none."""
        with _damage_reported(self._path):
            try:
                db = self._idle.pop()
            except IndexError:
                db = self._connect()
            try:
                yield db
            finally:
                self._idle.append(db)

    def _connect(self) -> Connection:
        db = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        # A damaged text can be read, so that its row is recognised by its checksum.
        db.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            db.close()
            raise
        return db


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Context manager: raises a `LibraryDamagedError` where SQLite reports a damaged file."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as err:
        # The code with and without its extension. A message of SQLite that quotes a damaged schema
        # can be no text.
        code = getattr(err, "sqlite_errorcode", 0)
        if isinstance(err, sqlite3.Error) and not {code, code & 0xFF} & _DAMAGED:
            raise
        raise LibraryDamagedError(
            f"{path.name} is damaged or no catalogue: {err}. Stop the service and restore a backup"
            " (`minuend restore`); `minuend verify` says what is damaged"
        ) from err
