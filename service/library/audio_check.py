"""Check of audio files: size and digest must be those of the clip."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from service.catalog.catalog import Catalog
from service.catalog.integrity import audio_fault
from service.clips import ClipRecord
from service.concurrency.storage import open_regular
from service.errors import ClipDamagedError

HASHED_ON_READ_BYTES = 1 << 20
"""Files up to this size are hashed every time that they are read.

Larger ones are compared by their size, and hashed by the scrub and by `minuend verify`.
"""


def find_audio_fault(record: ClipRecord, path: Path) -> str | None:
    """Return what is wrong with an audio file; None if size and digest are those of its clip.

    Args:
        record: The clip.
        path: The file.
    """
    try:
        with open_regular(path, follow_link=record.source == "referenced") as file:
            return _size_fault(record, file) or _digest_fault(record, file)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def refuse_damaged_audio(catalog: Catalog, record: ClipRecord, file: IO[bytes]) -> None:
    """Raise an error if an open audio file is known, or seen at once, not to be that of its clip.

    Audio that is read in place may be changed by others; of that, only the mark is looked at.

    Args:
        catalog: Catalogue of the clip.
        record: The clip.
        file: Its audio file at the start, where it is afterwards as well.

    Raises:
        ClipDamagedError: It is marked as damaged or, if it is stored, has another size or, if it is
            also small, another digest; or it cannot be read.
    """
    fault = audio_fault(catalog.database, record.path or "")
    if fault is None and record.source == "stored":
        fault = _size_fault(record, file)
        if fault is None and os.fstat(file.fileno()).st_size <= HASHED_ON_READ_BYTES:
            fault = _digest_fault(record, file)
            file.seek(0)
    if fault is not None:
        raise ClipDamagedError(
            f"the {record.source} audio of clip {record.id!r} is not the file that was added:"
            f" {fault}. Put the clip again, or restore the file from a backup"
        )


def _size_fault(record: ClipRecord, file: IO[bytes]) -> str | None:
    size_bytes = os.fstat(file.fileno()).st_size
    if record.size_bytes in (None, size_bytes):
        return None
    return f"it has {size_bytes} bytes instead of {record.size_bytes}"


def _digest_fault(record: ClipRecord, file: IO[bytes]) -> str | None:
    try:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # has readinto
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None if digest == record.sha256 else f"its sha256 is {digest}"
