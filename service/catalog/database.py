"""A SQLite database for any number of threads and processes; every commit is durable.

Connections are kept for reuse. SQLite opens a file read-only, without an error, if it may not be
written at that moment. Such a connection could never write again, so only connections that are
known to be writable are kept, and none after an error.

An open connection stays with its file when that is moved away or replaced. What it wrote then would
not be found again, so each write looks first whether the file is the one that was opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from service.catalog.sqlite_errors import damaged, service_error, system_error
from service.concurrency.deadline import Deadline, current_deadline
from service.errors import (
    LibraryDamagedError,
    LibraryError,
    ServiceError,
    StorageUnavailableError,
)

Connection = sqlite3.Connection
Cursor = sqlite3.Cursor
Value = str | bytes | int | float | None

FILTER_FUNCTION = "passes_filter"
"""SQL function of one argument, the metadata as bytes, if a statement is given a test of them."""

BUSY_TIMEOUT_S = 60.0
"""Longest wait for a lock of another connection [s]."""
_STEPS_PER_CHECK = 10_000
"""Steps of SQLite between two looks at the deadline: about a millisecond."""


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
        self._identity: tuple[int, int] | None = None  # until the file is there
        try:
            if not self.query("SELECT 1 FROM sqlite_schema LIMIT 1"):
                with self._connection() as db:
                    db.executescript(f"BEGIN; {schema} COMMIT;")
            self._identity = _identity(path)
        except LibraryDamagedError:
            self.close()
            raise
        except (sqlite3.Error, OSError, ServiceError) as err:
            self.close()
            raise LibraryError(f"{path} cannot be used as a catalogue: {err}") from err

    def query(
        self, sql: str, *parameters: Value, passes: Callable[[bytes], bool] | None = None
    ) -> list[Any]:
        """Run one SELECT statement and return all its rows.

        The statement is interrupted when the current deadline passes.

        Args:
            sql: The statement.
            *parameters: Values of its placeholders.
            passes: Test of metadata; the statement has it as the function `FILTER_FUNCTION`.

        Raises:
            ClientDisconnectedError: The client of the request has disconnected.
            DeadlineError: The deadline of the request has passed.
            StorageUnavailableError: The file cannot be read now.
        """
        with self._connection() as db, _interrupted(db, current_deadline()):
            if passes is not None:
                db.create_function(FILTER_FUNCTION, 1, passes, deterministic=True)
            return db.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self, mode: Literal["read", "write"]) -> Iterator[Connection]:
        """Context manager of a transaction: reads see one state, writes take effect together.

        A write is on the disk when the context has ended. Writers wait for each other. A
        transaction is not interrupted at the deadline of a request.

        Args:
            mode: "read" may run beside a writer; "write" takes the lock of the writer.

        Raises:
            StorageFullError: There is no room for the write, which has no effect.
            StorageUnavailableError: The file cannot be read or written now.
            OverloadError: Another process has held the lock of the writer for a minute.
        """
        with self._connection() as db:
            try:
                db.execute("BEGIN DEFERRED" if mode == "read" else "BEGIN IMMEDIATE")
                if mode == "write":
                    self._check_in_place()
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def check_writable(self) -> None:
        """Begin and end a write that changes nothing; it does not wait for a writer.

        Raises:
            StorageUnavailableError: The file cannot be written now.
        """
        self._check_in_place()
        with self._connection() as db:
            _begin_write(db)

    def shrink_log(self) -> None:
        """Move the write-ahead log into the database and give its room back, if nobody reads."""
        with self._connection() as db, _without_waiting(db):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, path: Path) -> None:
        """Copy the database, as it is at one moment, into one new file without a journal.

        Writers do not wait.

        Raises:
            OSError: The copy cannot be written.
        """
        with self._connection() as db, closing(sqlite3.connect(path)) as target:
            try:
                db.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.Error as err:
                if (number := system_error(err)) is None:
                    raise
                raise OSError(number, str(err), str(path)) from err

    def close(self) -> None:
        """Close all connections; no call may be running or follow."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Context manager: yields an idle connection, or opens one if there is none.

        Errors of SQLite are raised as errors of the service, see `service_error`.
        """
        db: Connection | None = None
        try:
            try:
                db = self._idle.pop()
                is_writable = True
            except IndexError:
                db = self._connect()
                is_writable = False  # until it is proven
            yield db
            if is_writable or _is_writable(db):
                self._idle.append(db)
                db = None
        except sqlite3.Error as err:
            error = service_error(err, self._path, current_deadline())
            if error is err:
                raise
            raise error from err
        except UnicodeDecodeError as err:  # of a message that quotes a damaged schema
            raise damaged(self._path, err) from err
        finally:
            if db is not None:
                db.close()

    def _check_in_place(self) -> None:
        """Check that the file is the one that was opened.

        Raises:
            StorageUnavailableError: It was moved, removed or replaced.
        """
        with suppress(FileNotFoundError):
            if self._identity is None or _identity(self._path) == self._identity:
                return
        raise StorageUnavailableError(
            f"{self._path.name} was moved away or replaced while it was in use: put it back, or"
            " restart the service"
        )

    def _connect(self) -> Connection:
        self._check_in_place()  # where it is missing, SQLite would make a new one
        db = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        # A damaged text can be read, so that its row is recognised by its checksum.
        db.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA temp_store = MEMORY")  # no write needs room in another folder
        except sqlite3.Error:
            db.close()
            raise
        return db


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


@contextmanager
def _interrupted(db: Connection, deadline: Deadline | None) -> Iterator[None]:
    """Context manager: statements inside are interrupted when a deadline passes."""
    if deadline is None:
        yield
        return
    db.set_progress_handler(lambda: deadline.is_over, _STEPS_PER_CHECK)
    yield
    db.set_progress_handler(None, 0)  # after an error, the connection is closed


@contextmanager
def _without_waiting(db: Connection) -> Iterator[None]:
    """Context manager: statements inside do not wait for locks of others."""
    db.execute("PRAGMA busy_timeout = 0")
    yield
    db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")


def _is_writable(db: Connection) -> bool:
    """Tell whether a connection was opened for writing."""
    try:
        _begin_write(db)
    except sqlite3.Error:
        return False
    return True


def _begin_write(db: Connection) -> None:
    """Begin and end a write that changes nothing.

    SQLite refuses a connection that cannot write before it looks at the lock, so a lock that
    another writer holds proves as much. BEGIN IMMEDIATE is no proof: on a read-only connection it
    begins a read. The file is not one that vacuums by itself, so this statement has nothing to do.
    """
    with _without_waiting(db), _unless_busy():
        db.execute("PRAGMA incremental_vacuum(1)").fetchall()


@contextmanager
def _unless_busy() -> Iterator[None]:
    """Context manager: ends at the error that another connection holds a lock."""
    try:
        yield
    except sqlite3.OperationalError as err:
        if err.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
