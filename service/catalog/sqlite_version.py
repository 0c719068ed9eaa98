"""Versions of SQLite with a defect that can damage a catalogue.

Up to 3.51.2, two connections that write and complete a checkpoint at the same moment can lose
committed pages of the write-ahead log (https://sqlite.org/wal.html#walresetbug). It is rare: the
developers of SQLite could only provoke it with code made for that.
"""

from __future__ import annotations

import sqlite3

_FIXED = {(3, 44): 6, (3, 50): 7}
"""First fixed patch of the branches that were fixed after their last feature release."""
_FIXED_FROM = (3, 51, 3)


def wal_reset_warning(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str | None:
    """Return a warning if SQLite of this version has the defect of the write-ahead log."""
    patch = _FIXED.get(version[:2])
    if version >= _FIXED_FROM or (patch is not None and version[2] >= patch):
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} has the WAL-reset bug, which can, very rarely,"
        " damage the catalogue when several processes or threads write; update the SQLite that"
        " Python uses to 3.51.3 or later (or 3.50.7, 3.44.6), and keep backups"
    )
