"""Restore of a library from a backup, see `service.library.backup`.

The members are written into a folder inside the library's, and moved to their places when all of
them are verified, the catalogue last. While that folder is there and the catalogue is not, there is
no complete library, and no service starts.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import orjson

from service.catalog.audio_store import copy_hashed
from service.catalog.inspection import quick_check, read_only
from service.catalog.stored_names import is_name_of
from service.concurrency.durable import atomic_write, make_directory, move_files, sync_directory
from service.concurrency.locks import file_lock
from service.errors import BackupError, LibraryError
from service.library.audio_files import is_well_named
from service.library.backup import FORMAT, MANIFEST, Member, Progress, Summary, summarise
from service.library.opening import CATALOG, LOCK, RESTORE, check_for_restore, check_unused

_LARGEST_MANIFEST_BYTES = 1 << 30


def restore(
    file: Path, library: Path, *, on_bytes: Progress = lambda n: None, keys: Path | None = None
) -> Summary:
    """Make a library from a backup, verifying every byte of it.

    A restore that was interrupted or failed can be run again. Stored audio files that are in the
    folder already stay, so that a library that lost its catalogue can be restored in its place.

    Args:
        file: The backup.
        library: Folder of the new library; empty or made here, or a library without catalogue.
        on_bytes: Called with the number of bytes read since the last call.
        keys: File of the API keys, which may lie in that folder, as may the backup.

    Raises:
        BackupError: The file is not a backup, is damaged or cut short, its catalogue is damaged or
            names files that it must not name; or the folder has a library or other files, or a
            process has a library open in it.
        OSError: A file cannot be read or written.
    """
    staged = library / RESTORE
    besides = [file] if keys is None else [file, keys]
    try:
        check_for_restore(library, besides=besides)
        with tarfile.open(file, "r:") as archive:
            members = _read_manifest(archive, file)
            make_directory(staged)
            with file_lock(library / LOCK):
                check_for_restore(library, besides=besides)
                check_unused(library)
                try:
                    _clear(staged)
                    _extract(archive, members, staged, on_bytes)
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
    return summarise(members.values())


def _read_manifest(archive: tarfile.TarFile, file: Path) -> dict[str, Member]:
    first = archive.next()
    match = MANIFEST.fullmatch(first.name) if first else None
    if first is None or match is None or first.size > _LARGEST_MANIFEST_BYTES:
        raise BackupError(f"{file} is no backup of a library")
    source = archive.extractfile(first)
    manifest = source.read() if source else b""
    if hashlib.sha256(manifest).hexdigest() != match.group(1):
        raise BackupError(f"{file} is damaged: its list of files has another hash")
    members = _members(manifest, file)
    for name, member in members.items():
        if name != CATALOG and not is_name_of(name, member.sha256):
            raise BackupError(f"{file} lists {name!r:.120}, which is no file of a library")
    if CATALOG not in members:
        raise BackupError(f"{file} has no {CATALOG}")
    return members


def _members(manifest: bytes, file: Path) -> dict[str, Member]:
    try:
        content = orjson.loads(manifest)
        if (version := content["format"]) != FORMAT:
            raise BackupError(f"{file} has format {version}, this version reads {FORMAT}")
        return {name: Member(str(sha256), int(n)) for name, (sha256, n) in content["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError(f"{file} is no backup of a library: its list is invalid") from error


def _extract(
    archive: tarfile.TarFile, members: Mapping[str, Member], folder: Path, on_bytes: Progress
) -> None:
    """Write the members that follow the manifest into a folder, durably."""
    missing = dict(members)
    while found := archive.next():
        member = missing.pop(found.name, None)
        source = archive.extractfile(found) if found.isreg() else None
        if member is None or source is None:
            raise BackupError(f"the backup holds {found.name!r:.120}, which its list does not name")
        target = folder / found.name
        make_directory(target.parent)
        with atomic_write(target) as copy:
            if copy_hashed(source, copy) != member.sha256:
                raise BackupError(
                    f"the backup is damaged: {found.name} has another hash than its list says"
                )
        on_bytes(member.size_bytes)
    if missing:
        raise BackupError(f"the backup is cut short: {len(missing)} of its files are missing")


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
    move_files([(staged / CATALOG, library / CATALOG)])


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
