"""Backup of a library in one tar file with a hash of every member; the library may be in use.

Audio that is read in place (`minuend index` without `--copy`) is not part of the backup: the
catalogue names its path. The search index is not part of it either: it is a cache.

A backup is restored in a folder of its own inside the library's, and its files are moved to their
places when all of them are verified, the catalogue last. Until then, that folder shows that there
is no complete library, and no service starts.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.bundle.files import hash_file
from service.catalog.catalog import stored_paths
from service.catalog.damage import quick_check, read_only
from service.catalog.database import Database
from service.catalog.stored_names import digest_of
from service.concurrency.durable import (
    atomic_write,
    make_directory,
    move_files,
    sync_directory,
)
from service.concurrency.locks import claimed_folder, file_lock
from service.errors import BackupError, LibraryError
from service.library.audio_files import is_well_named
from service.library.backup_archive import (
    Member,
    Progress,
    extract,
    read_manifest,
    write_archive,
)
from service.library.opening import (
    CATALOG,
    LOCK,
    RESTORE,
    check_after_crash,
    check_for_restore,
    prepare_folder,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Size of a backup.

    Attributes:
        files: Number of audio files.
        size_bytes: Size of all members together [bytes].
    """

    files: int
    size_bytes: int


def back_up(library: Path, file: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Write a library into one file that appears under its name only when it is complete.

    Writers wait only while the catalogue is copied and the audio files are linked.

    Args:
        library: Folder of the library; a service may have it open.
        file: The backup; an existing file is replaced.
        on_bytes: Called with the number of bytes written since the last call.

    Raises:
        BackupError: There is no library, or the audio of a clip is missing or damaged.
        LibraryError: The catalogue is damaged or cannot be read.
        OSError: A file cannot be read or written.
    """
    if not (library / CATALOG).is_file():
        raise BackupError(f"{library} is no library: it has no {CATALOG}")
    prepare_folder(library, create=False)
    with _frozen(library) as frozen:
        quick_check(frozen / CATALOG, is_alone=True)
        paths = sorted(path for path in frozen.rglob("*") if path.is_file())
        members = {path.relative_to(frozen).as_posix(): _measure(path) for path in paths}
        for name, member in members.items():
            if name != CATALOG and member.sha256 != digest_of(name):
                raise BackupError(f"{library / name} is damaged: its sha256 is {member.sha256}")
        with atomic_write(file) as target:
            write_archive(target, frozen, members, on_bytes)
    return _summary(members)


def restore(file: Path, library: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Make a library from a backup, verifying every byte of it.

    A restore that was interrupted or failed can be run again. Stored audio files that are in the
    folder already stay, so that a library that lost its catalogue can be restored in its place.

    Args:
        file: The backup.
        library: Folder of the new library; empty or made here, or a library without catalogue.
        on_bytes: Called with the number of bytes read since the last call.

    Raises:
        BackupError: The file is not a backup, is damaged or cut short, its catalogue is damaged or
            names files that it must not name; or the folder has a library or other files.
        OSError: A file cannot be read or written.
    """
    staged = library / RESTORE
    try:
        check_for_restore(library)
        with tarfile.open(file, "r:") as archive:
            members = read_manifest(archive, file)
            make_directory(staged)
            with file_lock(library / LOCK):
                check_for_restore(library)
                try:
                    _clear(staged)
                    extract(archive, members, staged, on_bytes)
                    _check_catalog(staged / CATALOG, members)
                    _put_in_place(staged, library, members)
                except BaseException:
                    _clear(staged)  # the empty folder stays: there is no library here
                    raise
                shutil.rmtree(staged)
                sync_directory(library)
    except tarfile.TarError as error:
        raise BackupError(f"{file} is no backup, or damaged: {error}") from error
    except LibraryError as error:
        raise BackupError(str(error)) from error
    return _summary(members)


@contextmanager
def _frozen(library: Path) -> Iterator[Path]:
    """Context manager: yields a folder with catalogue and audio files as of one moment."""
    with ExitStack() as opened:
        with file_lock(library / LOCK):  # no writer changes the set of audio files now
            check_after_crash(library)
            (library / "tmp").mkdir(exist_ok=True)
            frozen = opened.enter_context(claimed_folder(library / "tmp"))
            with closing(Database(library / CATALOG, schema="")) as catalog:
                catalog.copy_to(frozen / CATALOG)
                names = stored_paths(catalog)
            for name in names:
                if digest_of(name) is None:
                    raise BackupError(
                        f"the catalogue of {library} names {name!r:.120} as a stored file, which"
                        " is none; it is damaged or was changed by another program"
                    )
                _link(library / name, frozen / name)
        yield frozen


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError as error:
        raise BackupError(f"{source} is missing, which the catalogue names") from error


def _check_catalog(catalog: Path, members: Mapping[str, Member]) -> None:
    """Check that a catalogue is sound, and names only files of the backup or of a user."""
    quick_check(catalog, is_alone=True)
    query = "SELECT id, source, path, sha256 FROM clips WHERE path IS NOT NULL"
    for clip_id, source, path, sha256 in read_only(catalog, query, is_alone=True):
        if not is_well_named(source, path, sha256):
            raise BackupError(
                f"the backup is refused: its catalogue names {path!r:.120} as the {source} audio"
                f" of clip {clip_id!r:.140}, which is not the name of such a file"
            )
        if source == "stored" and path not in members:
            raise BackupError(f"the backup lacks {path}, the audio of clip {clip_id!r:.140}")


def _put_in_place(staged: Path, library: Path, members: Mapping[str, Member]) -> None:
    # A snapshot of an earlier library would be a snapshot of another catalogue.
    (library / "index" / "snapshot.json").unlink(missing_ok=True)
    move_files((staged / name, library / name) for name in members if name != CATALOG)
    (staged / CATALOG).replace(library / CATALOG)
    sync_directory(library)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _measure(path: Path) -> Member:
    measured = hash_file(path)
    return Member(measured.sha256, measured.size_bytes)


def _summary(members: Mapping[str, Member]) -> Summary:
    return Summary(len(members) - 1, sum(member.size_bytes for member in members.values()))
