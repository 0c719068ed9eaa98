"""Check of the write-ahead log of a catalogue that was not closed.

SQLite reads such a log up to the first frame whose checksum is wrong, and takes the rest for a
write that was not completed. After a power cut that is right: only the last write can be
incomplete, as each write is on the disk before the next one begins. Where two or more writes end
behind that frame, the log is damaged, and writes that were acknowledged would be missing without a
word.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from service.errors import LibraryError

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682  # the lowest bit says that checksums are of big-endian words
_CHECKED_BYTES = 8  # of a frame's header; the page follows
_WORD = (1 << 32) - 1

Checksum = tuple[int, int]


def recover_log(catalog: Path) -> None:
    """Take over the writes of a log that a crash left; nothing is done without such a log.

    Afterwards the log is empty, unless another process uses the catalogue, so that what is left of
    an incomplete write is never mistaken for a later one.

    Raises:
        LibraryError: The log is damaged. Nothing was changed.
        OSError: It cannot be read.
    """
    log = catalog.with_name(f"{catalog.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return
    frame = damaged_frame(log)
    # A process that writes meanwhile moves the end of the log; damage stays where it is.
    if frame is not None and damaged_frame(log) == frame:
        raise LibraryError(
            f"{log} is damaged at its frame {frame}, and holds later writes that were acknowledged."
            f" Keep a copy of it and of {catalog.name}; then restore a backup into another folder,"
            f" or give up those writes with `sqlite3 {catalog} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
        )
    with suppress(sqlite3.Error), closing(sqlite3.connect(catalog, timeout=0)) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def damaged_frame(log: Path) -> int | None:
    """Return the first frame that cannot be read although complete writes follow it, from 1.

    0 is the header of the log; None is a log that ends as a crash may leave it.

    Args:
        log: The log.

    Raises:
        OSError: It cannot be read.
    """
    with log.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, _, page_bytes, _, *salts, _, _ = _HEADER.unpack(header)
        order = ">" if magic & 1 else "<"
        checksum = _checksum(header[:24], (0, 0), order)
        if magic & ~1 != _MAGIC or checksum != _HEADER.unpack(header)[6:]:
            return 0 if file.read(_FRAME.size) else None
        return _broken_frame(file, page_bytes, tuple(salts), order, checksum)


def _broken_frame(
    file: BinaryIO, page_bytes: int, salts: tuple[int, ...], order: str, checksum: Checksum
) -> int | None:
    number, broken, n_ends = 0, None, 0
    while len(frame := file.read(_FRAME.size + page_bytes)) == _FRAME.size + page_bytes:
        number += 1
        _, n_pages, *found = _FRAME.unpack(frame[: _FRAME.size])
        if broken is None:
            checksum = _checksum(frame[:_CHECKED_BYTES], checksum, order)
            checksum = _checksum(frame[_FRAME.size :], checksum, order)
            if tuple(found) == (*salts, *checksum):
                continue
            broken = number
        # A frame that ends a write has the size of the database; salts are of one filling.
        n_ends += tuple(found[:2]) == salts and n_pages > 0
    return broken if n_ends > 1 else None


def _checksum(content: bytes, checksum: Checksum, order: str) -> Checksum:
    """Continue a checksum over bytes, whose number is a multiple of 8."""
    first, second = checksum
    for even, odd in struct.iter_unpack(f"{order}II", content):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
