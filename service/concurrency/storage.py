"""Disks: errors as errors of the service, opening of regular files, trial writes and free room.

A disk that is full and a disk that cannot be used now are told apart by the error number of the
system. Texts for clients name no paths; the log has them.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from service.errors import StorageFullError, StorageUnavailableError

TRIAL_BYTES = 4096

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LOGGER = logging.getLogger(__name__)


@contextmanager
def storage_errors(storage: str, folder: Path) -> Iterator[None]:
    """Raise errors of the system about a folder as errors of the service.

    Errors about files elsewhere are raised as they are, and so are those without a number.

    Args:
        storage: Name of the folder in messages, such as "the library".
        folder: The folder.

    Raises:
        StorageFullError: There is no room.
        StorageUnavailableError: The folder cannot be read or written.
    """
    try:
        yield
    except OSError as err:
        if err.errno is None or not _concerns(err, folder):
            raise
        raise storage_error(err, storage, folder) from err


def storage_error(
    err: OSError, storage: str, folder: Path
) -> StorageFullError | StorageUnavailableError:
    """Return the error of the service for an error of the system, and log it."""
    _LOGGER.warning("%s in %s failed: %s", storage, folder, err)
    if err.errno in _FULL:
        return StorageFullError(f"{storage} has no room left: {err.strerror}; nothing was stored")
    return StorageUnavailableError(f"{storage} cannot be used now: {err.strerror or err}")


def try_write(folder: Path) -> None:
    """Write a small file into a folder, synchronise it and remove it.

    Raises:
        OSError: The folder cannot be written.
    """
    path = folder / ".trial.tmp"
    try:
        with path.open("wb") as file:
            file.write(b"\0" * TRIAL_BYTES)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def open_regular(path: Path, *, follow_link: bool = True) -> BufferedReader:
    """Open a regular file for reading; a pipe or a device is not waited for.

    Args:
        path: The file.
        follow_link: Whether the path may be a symbolic link.

    Raises:
        OSError: It is missing or not a regular file, or cannot be read.
    """
    # Without O_NONBLOCK, opening a pipe waits for another process that writes to it.
    added = os.O_NONBLOCK | (0 if follow_link else os.O_NOFOLLOW)

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | added)

    file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def free_bytes(folder: Path) -> int:
    """Return the room that this process may use on the disk of a folder [bytes]."""
    return shutil.disk_usage(folder).free


def temporary_folder() -> Path:
    """Return the folder of temporary files; the root if there is none that can be written."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return Path("/")


def _concerns(err: OSError, folder: Path) -> bool:
    """Tell whether an error is about a folder; an error of an open file names no file."""
    if not isinstance(err.filename, str | Path):
        return True
    return Path(err.filename).absolute().is_relative_to(folder.absolute())
