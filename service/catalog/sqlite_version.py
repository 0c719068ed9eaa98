"""Versions of SQLite with a defect that can damage a catalogue.

Up to 3.51.2, two connections that write and complete a checkpoint at the same moment can lose
committed pages of the write-ahead log (https://sqlite.org/wal.html#walresetbug). It is rare: the
developers of SQLite could only provoke it with code made for that.
"""

from __future__ import annotations

import logging
import sqlite3

_LOGGER = logging.getLogger(__name__)
_FIXED: dict[tuple[int, ...], int] = {(3, 44): 6, (3, 50): 7}
"""First fixed patch of the branches that were fixed after their last feature release."""
_FIXED_FROM = (3, 51, 3)


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Tell whether SQLite of a version has the defect of the write-ahead log.

    Args:
        version: Major and minor version, and patch; that of the SQLite in use if not given.
    """
    patch = _FIXED.get(version[:2])
    return version < _FIXED_FROM and (patch is None or version[2] < patch)


def warn_of_defects() -> None:
    """Log a warning if the SQLite in use can damage a catalogue."""
    if has_wal_reset_bug():
        _LOGGER.warning(
            "SQLite %s has the WAL-reset bug, which can, very rarely, damage the catalogue when"
            " several processes or threads write: update the SQLite of Python to 3.51.3 or later"
            " (or 3.50.7, 3.44.6), and keep backups",
            sqlite3.sqlite_version,
        )
