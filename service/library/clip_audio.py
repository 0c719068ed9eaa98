"""Audio of clips, opened so that a record and its bytes belong together while clips change.

The name of a stored file is the digest of its bytes, and an open file keeps its bytes when its name
is removed. So a file that could be opened under the name in a record is the audio of that record.
Audio that is read in place may be changed by others; its bytes are compared with the digest in the
record.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import Self

from service.catalog.catalog import Catalog
from service.clips import ClipRecord
from service.concurrency.storage import open_regular
from service.errors import ClipAudioMissingError, ClipDamagedError
from service.library.audio_check import refuse_damaged_audio
from service.library.audio_files import audio_path

TRIES = 8
"""Times that a clip is opened which others keep replacing."""
MAX_DIGESTS = 4096
"""Files read in place whose digests are remembered."""

_NOT_THERE = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP),
    *(errno.ENXIO, errno.EISDIR, errno.EINVAL),
)


@dataclass(frozen=True, slots=True)
class ClipAudio:
    """The open audio of a clip; a context manager that closes it.

    Attributes:
        record: The clip whose audio this is.
        file: The bytes, at their start.
        status: The open file as it was when it was opened.
    """

    record: ClipRecord
    file: BufferedReader
    status: os.stat_result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    @property
    def size_bytes(self) -> int:
        """Size of the file [bytes]."""
        return self.status.st_size

    def read_at(self, start: int, size_bytes: int) -> bytes:
        """Read bytes at a position; fewer at the end of the file.

        Raises:
            OSError: The file cannot be read, or was written to since it was opened.
        """
        content = os.pread(self.file.fileno(), size_bytes, start)
        now = os.fstat(self.file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise OSError(f"the audio of clip {self.record.id!r} was changed while it was read")
        return content


class ClipAudioFiles:
    """The audio files of a library, for any number of threads.

    Args:
        library: Folder of the library.
        catalog: Catalogue of the library.
    """

    def __init__(self, library: Path, catalog: Catalog) -> None:
        self._library = library
        self._catalog = catalog
        self._digests: OrderedDict[tuple[int, ...], str] = OrderedDict()
        self._lock = Lock()

    def open(self, clip_id: str) -> ClipAudio:
        """Open the audio of a clip, as the clip was at one moment during the call.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or the file is gone, is not readable or is not
                the one that was added.
            ClipDamagedError: The record or the stored file is damaged.
        """
        record = self._catalog.get(clip_id)
        for tries_left in reversed(range(TRIES)):
            try:
                return self._open(record)
            except (ClipAudioMissingError, ClipDamagedError):
                # Was the file removed because the clip was replaced or deleted meanwhile?
                newest = self._catalog.get(clip_id)
                if newest == record or not tries_left:
                    raise
                record = newest
        raise AssertionError("unreachable")

    def _open(self, record: ClipRecord) -> ClipAudio:
        path = audio_path(self._library, record)
        audio = f"the {record.source} audio of clip {record.id!r}"
        try:
            # A stored file is no link; one that is read in place may be.
            file = open_regular(path, follow_link=record.source == "referenced")
        except (OSError, ValueError) as error:  # a path with a null character
            if isinstance(error, OSError) and error.errno not in _NOT_THERE:
                raise
            raise ClipAudioMissingError(f"{audio} is missing or cannot be read") from error
        try:
            status = os.fstat(file.fileno())
            refuse_damaged_audio(self._catalog, record, file)
            if record.source == "referenced" and self._digest(file, status) != record.sha256:
                raise ClipAudioMissingError(f"{audio} was changed since it was added")
        except BaseException:
            file.close()
            raise
        return ClipAudio(record, file, status)

    def _digest(self, file: BufferedReader, status: os.stat_result) -> str:
        """Return the SHA-256 of a file; it is computed once while the file is not changed."""
        times = status.st_mtime_ns, status.st_ctime_ns
        key = status.st_dev, status.st_ino, status.st_size, *times
        with self._lock:
            if key in self._digests:
                self._digests.move_to_end(key)
                return self._digests[key]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with self._lock:
            self._digests[key] = digest
            if len(self._digests) > MAX_DIGESTS:
                self._digests.popitem(last=False)
        return digest
