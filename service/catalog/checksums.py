"""Checksums of the rows of a catalogue: CRC-32 over the key of a row and all that is read from it.

SQLite notices damage to the structure of its file, but returns a changed value as if it were right.
A row whose checksum differs is therefore never served. CRC-32 finds every single flipped bit, and
of other damage all but one case in four billion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from zlib import crc32

NO_CHECKSUM = -1
"""Of a row that has no checksum, since a value in it has another type."""


def record_checksum(values: Sequence[object]) -> int:
    """Return the checksum of the columns of a record, in their order."""
    return crc32("\0".join(map(str, values)).encode("utf-8", "surrogateescape"))


def vector_checksum(seq: int, fingerprint: str, precision: str, embedding: object) -> int:
    """Return the checksum of a row of the table `vectors`."""
    return _checksum(f"{seq} {fingerprint} {precision}", embedding)


def window_checksum(
    seq: int, fingerprint: str, number: int, start_s: float, end_s: float, embedding: object
) -> int:
    """Return the checksum of a row of the table `windows`."""
    return _checksum(f"{seq} {fingerprint} {number} {start_s} {end_s}", embedding)


def add_functions(db: sqlite3.Connection) -> None:
    """Make the checksums of this module available in SQL, under the names that they have here."""
    db.create_function("record_checksum", -1, lambda *values: record_checksum(values))
    db.create_function("vector_checksum", 4, vector_checksum)
    db.create_function("window_checksum", 6, window_checksum)


def _checksum(key: str, embedding: object) -> int:
    # A flipped bit in the header of a row can make the bytes a text.
    if not isinstance(embedding, bytes):
        return NO_CHECKSUM
    return crc32(embedding, crc32(key.encode("utf-8", "surrogateescape")))
