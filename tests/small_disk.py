"""Small disks and read-only folders, mounted for a test; it is skipped where that is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[Path]:
    """Mount an empty file system in memory on a folder that is made here."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path))
    try:
        yield path
    finally:
        _unmount(path)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make a folder read-only for all files that are opened inside the context."""
    _mount("--bind", str(path), str(path))
    try:
        _mount("-o", "remount,bind,ro", str(path))
        yield
    finally:
        _unmount(path)


def fill(path: Path) -> Path:
    """Take all room of the disk of a folder, with one file."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:
        for n_bytes in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"\1" * n_bytes):
                    pass
            except OSError:
                continue
    return filler


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program to mount a disk with")
    if done.returncode:
        pytest.skip(f"this account may not mount a disk: {done.stderr.strip()}")


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)
