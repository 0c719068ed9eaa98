"""Durable writes: a file or folder is complete under its name, or not there at all.

The bytes are synchronised first, then the name is put in place, then the folder of the name is
synchronised. After a crash or a power cut the name holds the old content or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextmanager
def atomic_write(path: Path, *, permissions: int = 0o666) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the context ends without an error.

    Args:
        path: The file to write; its folder exists.
        permissions: Mode bits of a new file, before the umask.

    Raises:
        OSError: The file cannot be written. `path` keeps its content; nothing else stays behind.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(temporary, flags, permissions), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextmanager
def staged_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Make a temporary folder that becomes `path` when the context ends without an error.

    Args:
        path: The folder to make. Its parent exists.
        replace: Whether it may replace a folder with content. The old folder is moved aside first
            and deleted last, so that one of the two is complete on the disk at any time.

    Raises:
        OSError: The folder cannot be made, or `path` exists, is not empty and is not to be
            replaced. `path` keeps its content; nothing else stays behind.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        for item in temporary.rglob("*"):
            _sync(item)
        _sync(temporary)
        if replace and path.exists():
            _swap(temporary, path)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(path.parent)


def _swap(temporary: Path, path: Path) -> None:
    old = temporary.with_suffix(".old")
    path.rename(old)
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise
    sync_directory(path.parent)
    shutil.rmtree(old)


def make_directory(path: Path) -> None:
    """Make a directory, and its parents where they are missing, durably."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def move_files(moves: Iterable[tuple[Path, Path]]) -> None:
    """Rename files within one file system, durably; folders are made where they are missing.

    The new names are synchronised before the removal of the old ones, so that a power cut leaves
    a file under one of the two.

    Args:
        moves: Old and new path of each file; a file that has the new path is replaced.

    Raises:
        OSError: A file cannot be renamed. It stays where it is, and so do those after it.
    """
    old, new = set[Path](), set[Path]()
    try:
        for source, target in moves:
            make_directory(target.parent)
            source.replace(target)
            old.add(source.parent)
            new.add(target.parent)
    finally:
        for directory in [*new, *(old - new)]:
            sync_directory(directory)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, as fsync makes the bytes of a file durable."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
