"""Errors of SQLite as errors of the service."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.concurrency.storage import storage_error, try_write
from service.errors import (
    LibraryDamagedError,
    OverloadError,
    ServiceError,
    StorageFullError,
    StorageUnavailableError,
)

STORAGE = "the library"

_PRIMARY = 0xFF
"""The low byte of an extended code of SQLite is the code of its kind."""
_UNAVAILABLE = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNREADABLE = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)
"""Extended codes: the disk does not give what was written."""


def service_error(
    err: sqlite3.Error, path: Path, deadline: Deadline | None
) -> ServiceError | ClientDisconnectedError | sqlite3.Error:
    """Return the error of the service for an error of SQLite.

    Args:
        err: The error.
        path: The database file.
        deadline: The deadline at which statements were to be interrupted.

    Returns:
        The error itself if it is a fault of the program.
    """
    extended = getattr(err, "sqlite_errorcode", 0)
    code = extended & _PRIMARY
    if code in _DAMAGED or extended in _UNREADABLE:
        return damaged(path, err)
    if code == sqlite3.SQLITE_INTERRUPT and deadline is not None:
        return deadline.error()
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError(f"{STORAGE} has no room left; nothing was stored")
    if code in _UNAVAILABLE:
        return _storage_error(err, path)
    if code == sqlite3.SQLITE_BUSY:
        return OverloadError("another process has been writing to the library; try again later")
    return err


def damaged(path: Path, reason: Exception) -> LibraryDamagedError:
    """Return the error for a catalogue that cannot be read.

    Args:
        path: The database file.
        reason: What could not be read.
    """
    return LibraryDamagedError(
        f"{path.name} is damaged or no catalogue: {reason}. Stop the service and restore a backup"
        " (`minuend restore`); `minuend verify` says what is damaged"
    )


def system_error(err: sqlite3.Error) -> int | None:
    """Return the error number of the system that an error of SQLite stands for; None if of none."""
    code = getattr(err, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return errno.ENOSPC
    return errno.EIO if code in _UNAVAILABLE else None


def _storage_error(err: sqlite3.Error, path: Path) -> StorageFullError | StorageUnavailableError:
    """Return what is wrong with the disk; SQLite does not tell some kinds of a full disk apart."""
    try:
        try_write(path.parent)
    except OSError as fault:
        return storage_error(fault, STORAGE, path.parent)
    return StorageUnavailableError(f"{STORAGE} cannot be used now: {err}")
