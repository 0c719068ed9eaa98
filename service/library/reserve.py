"""Room that a library keeps, so that clips can be deleted on a full disk.

A deletion writes to the catalogue before it frees anything. The reserve is a file whose room is
taken; when a deletion finds the disk full, the file is removed and the deletion is tried again.
Nothing else may take the room that was released: until the reserve is back, nothing is added.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

from service.concurrency.durable import sync_directory

NAME = "reserve"
NEEDED_BYTES = 1 << 20
"""Room that opening a library takes; the reserve gives it on a full disk [bytes]."""

_LOGGER = logging.getLogger(__name__)


class Reserve:
    """The reserve of a library. The caller holds the lock of the library.

    Args:
        library: Folder of the library.
        size_bytes: Room to keep; 0 for none [bytes].
    """

    def __init__(self, library: Path, size_bytes: int) -> None:
        self._path = library / NAME
        self._size_bytes = size_bytes

    @property
    def is_whole(self) -> bool:
        """True if all of its room is kept."""
        try:
            return self._path.stat().st_size == self._size_bytes
        except FileNotFoundError:
            return not self._size_bytes

    def keep(self) -> None:
        """Make the reserve if it is not whole; one of another size gets the size of the setting.

        Raises:
            OSError: There is no room for it, or the folder cannot be written. A reserve that was
                smaller stays.
        """
        if self.is_whole:
            return
        if not self._size_bytes:
            self.release()
            return
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            before = file.seek(0, os.SEEK_END)
            try:
                self._allocate(file.fileno(), before)
            except BaseException:
                file.truncate(before)
                if not before:
                    self.release()
                raise
        sync_directory(self._path.parent)

    def keep_if_possible(self, make_room: Callable[[], object] = lambda: None) -> None:
        """Make the reserve if it is not whole and there is room for it.

        Args:
            make_room: Called before, if it is not whole.
        """
        if self.is_whole:
            return
        make_room()
        try:
            self.keep()
        except OSError as err:
            _LOGGER.warning("no reserve of %d bytes at %s: %s", self._size_bytes, self._path, err)

    def release(self) -> bool:
        """Give the room of the reserve back; tell whether there was any."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _allocate(self, descriptor: int, before: int) -> None:
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except OSError as err:
            if err.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            _write_zeros(descriptor, self._size_bytes - before)
        os.ftruncate(descriptor, self._size_bytes)
        os.fsync(descriptor)


def _write_zeros(descriptor: int, size_bytes: int) -> None:
    """Take room by writing, where the file system cannot allocate it."""
    block = b"\0" * (1 << 20)
    while size_bytes > 0:
        size_bytes -= os.write(descriptor, block[:size_bytes])
