"""Locks: one between processes, and one that many readers share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, against threads and processes alike.

    The kernel lets go of it when the process ends, however it ends; the file itself stays.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def claim_directory(path: Path) -> int | None:
    """Lock a directory if nobody else holds it.

    Returns:
        A file descriptor that holds the lock until it is closed, or None if it is taken.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class SharedLock:
    """Many may read at once; who changes something is alone, and is not kept waiting by newcomers.

    Not re-entrant.
    """

    def __init__(self) -> None:
        self._turn = Lock()
        self._n_readers = 0
        self._left = Condition()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Read beside other readers."""
        with self._turn, self._left:
            self._n_readers += 1
        try:
            yield
        finally:
            with self._left:
                self._n_readers -= 1
                self._left.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait for the readers there are, keep new ones out, and be alone."""
        with self._turn:
            with self._left:
                self._left.wait_for(lambda: self._n_readers == 0)
            yield
