"""The system calls that change files: which files and names each of them is about."""

from __future__ import annotations

import os
from pathlib import Path

from powercut.tracing import Call

_HERE = 0xFFFFFF9C  # AT_FDCWD, as an unsigned 32-bit number
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range")
SYNCS = ("fsync", "fdatasync")
FILES = {
    **dict.fromkeys(WRITES, 0),
    **dict.fromkeys(SYNCS, 0),
    "copy_file_range": 2,
    "ftruncate": 0,
    "fallocate": 0,
    "splice": 2,
}
"""Calls that change an open file, and which of their arguments is the file."""
PATHS: dict[str, tuple[tuple[int | None, int], ...]] = {
    "open": ((None, 0),),
    "creat": ((None, 0),),
    "openat": ((0, 1),),
    "openat2": ((0, 1),),
    "truncate": ((None, 0),),
    "mkdir": ((None, 0),),
    "mkdirat": ((0, 1),),
    "rmdir": ((None, 0),),
    "unlink": ((None, 0),),
    "unlinkat": ((0, 1),),
    "rename": ((None, 0), (None, 1)),
    "renameat": ((0, 1), (2, 3)),
    "renameat2": ((0, 1), (2, 3)),
    "link": ((None, 0), (None, 1)),
    "linkat": ((0, 1), (2, 3)),
    "symlink": ((None, 1),),
    "symlinkat": ((1, 2),),
}
"""Calls with paths: for each path the argument with its folder, if any, and that with its text."""


def file_of(call: Call) -> int:
    """Return the descriptor of the file that a call of `FILES` changes."""
    return call.arguments[FILES[call.name]]


def paths_of(call: Call) -> list[Path]:
    """Return the absolute paths of a call of `PATHS`."""
    return [_path(call, *arguments) for arguments in PATHS[call.name]]


def open_path(call: Call) -> Path:
    """Return the path of the file that a call of `FILES` changes, as the system names it."""
    return Path(f"/proc/{call.pid}/fd/{file_of(call)}").readlink()


def _path(call: Call, folder: int | None, text: int) -> Path:
    at = _HERE if folder is None else call.arguments[folder]
    is_here = at & 0xFFFFFFFF == _HERE
    base = Path(f"/proc/{call.pid}/{'cwd' if is_here else f'fd/{at}'}").readlink()
    return Path(os.path.normpath(base / call.text(text)))
