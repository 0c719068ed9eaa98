"""Audio of clips, opened so that a record and its bytes belong together while clips change.

The name of a stored file is the digest of its bytes, and an open file keeps its bytes when its name
is removed. So a file that could be opened under the name in a record is the audio of that record.
Audio that is read in place may be changed by others; its bytes are compared with the digest in the
record.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import Self

from service.catalog.catalog import Catalog
from service.clips import ClipRecord
from service.errors import ClipAudioMissingError

TRIES = 8
"""Times that a clip is opened which others keep replacing."""
MAX_DIGESTS = 4096
"""Files read in place whose digests are remembered."""


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

    def path(self, clip_id: str) -> Path:
        """Return the path of the audio file of a clip.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or the file is gone.
        """
        record = self._catalog.get(clip_id)
        if not (path := self._path(record)).is_file():
            raise ClipAudioMissingError(f"the {record.source} audio of clip {clip_id!r} is missing")
        return path

    def open(self, clip_id: str) -> ClipAudio:
        """Open the audio of a clip, as the clip was at one moment during the call.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or the file is gone, is not readable or is not
                the one that was added.
        """
        record = self._catalog.get(clip_id)
        for tries_left in reversed(range(TRIES)):
            try:
                return self._open(record)
            except ClipAudioMissingError:
                # Was the file removed because the clip was replaced or deleted meanwhile?
                newest = self._catalog.get(clip_id)
                if newest == record or not tries_left:
                    raise
                record = newest
        raise AssertionError("unreachable")

    def _path(self, record: ClipRecord) -> Path:
        if record.path is None:
            raise ClipAudioMissingError(f"clip {record.id!r} was added as a vector, without audio")
        return self._library / record.path

    def _open(self, record: ClipRecord) -> ClipAudio:
        path = self._path(record)
        audio = f"the {record.source} audio of clip {record.id!r}"
        try:
            # Without O_NONBLOCK, opening a pipe waits for another process that writes to it.
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
        except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
            raise ClipAudioMissingError(f"{audio} is missing or not readable") from error
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ClipAudioMissingError(f"{audio} is not a regular file")
            if not self._is_as_added(record, file, status):
                raise ClipAudioMissingError(f"{audio} is not the file that was added")
        except BaseException:
            file.close()
            raise
        return ClipAudio(record, file, status)

    def _is_as_added(
        self, record: ClipRecord, file: BufferedReader, status: os.stat_result
    ) -> bool:
        if record.size_bytes is not None and record.size_bytes != status.st_size:
            return False
        return record.source == "stored" or self._digest(file, status) == record.sha256

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
