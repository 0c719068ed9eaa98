"""Locks between processes, and a lock that readers share within a process."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from uuid import uuid4


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which excludes other threads and processes.

    The kernel releases the lock when the process ends, in whatever way; the file stays.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def claim_directory(path: Path) -> int | None:
    """Lock a directory unless another process or caller holds the lock.

    Returns:
        A file descriptor that holds the lock until it is closed; None if another one holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def shared_directory(path: Path) -> Iterator[None]:
    """Hold a lock on a directory together with others; `claim_directory` returns None meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def claimed_folder(parent: Path) -> Iterator[Path]:
    """Make a folder with a random name, hold the lock on it, and remove it at the end.

    `claim_directory` shows whether the process of a folder is still running. A caller that
    removes abandoned folders must exclude others while they enter this context.
    """
    folder = parent / uuid4().hex
    folder.mkdir()
    claim = claim_directory(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if claim is not None:
            os.close(claim)


class SharedLock:
    """A readers-writer lock: many readers at a time, or one writer.

    A waiting writer keeps new readers out, so readers must be short: the longest one delays the
    writer and all readers behind it. Not re-entrant.
    """

    def __init__(self) -> None:
        self._entrance = Lock()
        self._n_readers = 0
        self._reader_left = Condition()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._entrance, self._reader_left:
            self._n_readers += 1
        try:
            yield
        finally:
            with self._reader_left:
                self._n_readers -= 1
                self._reader_left.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone, after the readers that hold it now."""
        with self._entrance:
            with self._reader_left:
                self._reader_left.wait_for(lambda: self._n_readers == 0)
            yield
