"""Rules for opening a folder as a library, or making one there.

A library is made only where there is no folder, or an empty one. Where a catalogue is missing but
anything shows that there was a library, an error says what to do: a new catalogue in that place
would name none of the sounds.
"""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from service.catalog.audio_store import is_in_use
from service.catalog.inspection import has_tables, quick_check
from service.catalog.log_check import check_log, recover_log
from service.concurrency.durable import sync_directory
from service.concurrency.locks import file_lock
from service.errors import LibraryError
from service.library.reserve import NAME

CATALOG = "catalog.sqlite"
LOCK = "library.lock"
RESTORE = "restore.partial"
"""Folder in a library: files of a restore that is running or was interrupted."""

SCRUB_PROGRESS = "scrub.json"
VERIFY_PROGRESS = "verify.json"

FOLDERS = ("audio", "index", "quarantine", "tmp")
"""Folders of a library; they are made after the catalogue."""
_WAL = f"{CATALOG}-wal"
_STATE = {LOCK, RESTORE, NAME, SCRUB_PROGRESS, VERIFY_PROGRESS}
"""Further files of a library; none of them holds anything of a clip."""
_WITHOUT_CATALOG = _STATE | {CATALOG, f"{CATALOG}-journal", f"{CATALOG}-shm", "lost+found"}
"""Files that may lie in a folder in which a library is made; hidden files may, too."""
_SHOWN = 3

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Creation:
    """Conditions under which a catalogue may be made.

    Attributes:
        if_empty: In a folder that is missing or empty.
        if_lost: In the folder of a library that has lost its catalogue.
        besides: Files that an empty folder may hold: that of the API keys.
    """

    if_empty: bool = True
    if_lost: bool = False
    besides: Collection[Path] = ()


NEVER = Creation(if_empty=False)


def prepare_folder(path: Path, creation: Creation = NEVER) -> bool:
    """Check the folder of a library before it is opened; it is not changed.

    Args:
        path: The folder.
        creation: Where a catalogue may be made.

    Returns:
        Whether the catalogue is to be made.

    Raises:
        LibraryError: The folder holds no library and none may be made in it; a restore into it was
            interrupted; or its catalogue cannot be read. The message says what to do.
    """
    names = _names(path)
    file = path / CATALOG
    has_file = CATALOG in names
    if RESTORE in names and not (has_file and _is_restored(path)):
        raise LibraryError(
            f"a restore into {path} is running or was interrupted: run `minuend restore` again,"
            f" or delete {path / RESTORE} to give it up"
        )
    if _WAL in names and (not has_file or not file.stat().st_size):
        raise LibraryError(
            f"{path} has {_WAL}, the newest writes of a catalogue, but {CATALOG} is"
            f" {'empty' if has_file else 'missing'}: put that file back. If it is lost, move"
            f" {_WAL} out of the folder, keep it, and run `minuend adopt` or `minuend restore`"
        )
    if has_file and _has_catalog(file):
        return False
    parts = [name for name in FOLDERS if name in names]
    state = f"its {CATALOG} is {'empty' if has_file else 'missing'}"
    if creation.if_lost and parts:
        return True
    if parts:
        raise LibraryError(
            f"{path} has {', '.join(parts)} of a library, but {state}: put that file back, run"
            " `minuend restore` with a backup, make a new catalogue of the stored audio with"
            " `minuend adopt`, or use another folder as the library"
        )
    if foreign := _foreign(path, names, creation.besides):
        raise LibraryError(
            f"{path} is no library and not empty: it holds {', '.join(foreign[:_SHOWN])}"
            f"{' ...' if len(foreign) > _SHOWN else ''}; use an empty folder or a new one"
        )
    if not creation.if_empty:
        reason = "there is nothing to adopt" if creation.if_lost else "none is to be made here"
        raise LibraryError(f"{path} is no library: {state}, and {reason}")
    return True


def check_after_crash(path: Path) -> None:
    """Check the catalogue of a library if its last process ended without closing it.

    The caller holds the lock of the library. The folder of a restore that is done is removed.

    Raises:
        LibraryError: The catalogue is damaged. Nothing was changed.
    """
    log = path / _WAL
    if log.exists() and log.stat().st_size and not is_in_use(path):
        _LOGGER.info("checking %s, which was not closed", path / CATALOG)
        quick_check(path / CATALOG)
        recover_log(path / CATALOG)
    if (path / RESTORE).exists() and _is_restored(path):
        shutil.rmtree(path / RESTORE)
        sync_directory(path)


def check_for_backup(path: Path) -> None:
    """Check the catalogue of a library like a start, whether or not a process has it open.

    Raises:
        LibraryError: There is no library, or its catalogue is damaged.
    """
    prepare_folder(path)
    with file_lock(path / LOCK):
        check_after_crash(path)


def check_for_restore(path: Path, *, besides: Collection[Path] = ()) -> None:
    """Check that a backup may be restored into a folder.

    Args:
        path: The folder.
        besides: Files that may lie in it: that of the API keys, and the backup.

    Raises:
        LibraryError: It holds a library, or files and no part of a library.
    """
    names = _names(path)
    if CATALOG in names and (path / CATALOG).stat().st_size:
        raise LibraryError(f"{path} holds a library; restore into an empty folder")
    for name in (_WAL, f"{CATALOG}-journal"):  # SQLite would apply it to the restored catalogue
        if name in names:
            raise LibraryError(
                f"{path} has {name} of another catalogue: move it out of the folder and keep it"
            )
    if not names.intersection(FOLDERS) and (foreign := _foreign(path, names, besides)):
        raise LibraryError(
            f"{path} is not empty: it holds {', '.join(foreign[:_SHOWN])}; restore into an empty"
            " folder"
        )


def check_unused(path: Path) -> None:
    """Check that no process has a library open in a folder whose catalogue is to be made.

    Such a process would go on with the catalogue that was moved away: what it adds would be lost,
    and what it deletes would be missing. The caller holds the lock of the library.

    Raises:
        LibraryError: A process has.
    """
    if is_in_use(path):
        raise LibraryError(
            f"a process that is running has the library {path} open: stop it, then try again"
        )


def _has_catalog(file: Path) -> bool:
    """Tell whether a file holds the tables of a catalogue, and is not just made or emptied."""
    if not file.stat().st_size:
        return False
    check_log(file)
    return has_tables(file)


def _names(path: Path) -> set[str]:
    return {item.name for item in path.iterdir()} if path.exists() else set()


def _foreign(path: Path, names: set[str], besides: Collection[Path]) -> list[str]:
    """Return the files of a folder that are neither of a library, nor hidden, nor to be there."""
    known = {file.name for file in besides if file.absolute().parent == path.absolute()}
    others = names - _WITHOUT_CATALOG - known - {_WAL}
    return sorted(name for name in others if not name.startswith("."))


def _is_restored(path: Path) -> bool:
    """Tell whether a restore had put all files in place.

    After a power cut, a file that was moved may be found under its old name, too. The catalogue is
    moved last, when the other moves are on the disk.
    """
    files = [Path(root) / name for root, _, names in os.walk(path / RESTORE) for name in names]
    return not files or (
        files == [path / RESTORE / CATALOG] and filecmp.cmp(files[0], path / CATALOG, shallow=False)
    )
