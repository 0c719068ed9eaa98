"""Backup of a library in one tar file with a hash of every member; the library may be in use.

    manifest-<sha256>.json    names, sizes and hashes of the members that follow
    catalog.sqlite            the catalogue as of one moment
    audio/...                 the stored audio files

Audio that is read in place (`minuend index` without `--copy`) is not part of the backup: the
catalogue names its path. The search index is not part of it either: it is a cache.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO

import orjson

from service.catalog.audio_store import copy_hashed, kept_audio, open_kept
from service.catalog.catalog import stored_paths
from service.catalog.database import Database
from service.concurrency.durable import atomic_write, sync_directory
from service.concurrency.locks import file_lock
from service.errors import BackupError, LibraryError, StorageFullError
from service.library.reserve import Reserve

FORMAT = 1
CATALOG = "catalog.sqlite"

_MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")
_MEMBER = re.compile(r"catalog\.sqlite|audio/[0-9a-f]{2}/[0-9a-f]{64}(\.[A-Za-z0-9]{1,16})?")
_LARGEST_MANIFEST_BYTES = 1 << 30

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Summary:
    """Size of a backup.

    Attributes:
        files: Number of audio files.
        size_bytes: Size of all members together [bytes].
    """

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """Entry of the manifest for one member."""

    sha256: str
    size_bytes: int


def back_up(library: Path, file: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Write a library into one file that appears under its name only when it is complete.

    Writers do not wait. The library needs no room for it: the catalogue is copied beside the file,
    and audio files that are removed meanwhile are kept until the end.

    Args:
        library: Folder of the library; a service may have it open.
        file: The backup; an existing file is replaced.
        on_bytes: Called with the number of bytes written since the last call.

    Raises:
        BackupError: There is no library, or the audio of a clip is missing or damaged.
        LibraryError: The catalogue cannot be read.
        OSError: A file cannot be read or written.
    """
    if not (library / CATALOG).is_file():
        raise BackupError(f"{library} is no library: it has no {CATALOG}")
    with kept_audio(library), TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as own:
        frozen = _freeze(library, Path(own))
        entries = {name: _measure(frozen, name) for name in frozen.names}
        for name, entry in entries.items():
            if name != CATALOG and entry.sha256 not in name:
                raise BackupError(f"{library / name} is damaged: its sha256 is {entry.sha256}")
        with atomic_write(file) as target:
            _write(target, frozen, entries, on_bytes)
    return _summary(entries)


def restore(file: Path, library: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Make a library from a backup, verifying every byte of it.

    The catalogue is put in place last: without it there is no library, and a restore that was
    stopped can be run again.

    Args:
        file: The backup.
        library: Folder of the new library; empty, or made here.
        on_bytes: Called with the number of bytes read since the last call.

    Raises:
        BackupError: The file is not a backup, is damaged or cut short, or the folder has a library.
        OSError: A file cannot be read or written.
    """
    if (library / CATALOG).exists():
        raise BackupError(f"{library} holds a library; restore into an empty folder")
    library.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(file, "r:") as archive:
            entries = _read_manifest(archive, file)
            with file_lock(library / "library.lock"):
                _extract(archive, entries, library, on_bytes)
    except tarfile.TarError as error:
        raise BackupError(f"{file} is no backup, or damaged: {error}") from error
    return _summary(entries)


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A library as of one moment.

    Attributes:
        library: Folder of the library, whose audio files are kept.
        catalog: Copy of the catalogue.
        names: Names of all members.
    """

    library: Path
    catalog: Path
    names: list[str]

    def open(self, name: str) -> io.BufferedReader:
        """Open a member.

        Raises:
            BackupError: It is missing.
        """
        if name == CATALOG:
            return self.catalog.open("rb")
        try:
            return open_kept(self.library, name)
        except FileNotFoundError as error:
            path = self.library / name
            raise BackupError(f"{path} is missing, which the catalogue names") from error


def _freeze(library: Path, folder: Path) -> _Frozen:
    """Copy the catalogue into a folder; the audio files of the library are kept already."""
    copy = folder / CATALOG
    with closing(_open_catalog(library)) as catalog:
        catalog.copy_to(copy)
    with closing(Database(copy, schema="")) as catalog:
        return _Frozen(library, copy, [CATALOG, *sorted(stored_paths(catalog))])


def _open_catalog(library: Path) -> Database:
    """Open the catalogue; if no process has it open, that needs room, which the reserve gives."""
    try:
        return Database(library / CATALOG, schema="")
    except LibraryError as error:
        is_full = isinstance(error.__cause__, StorageFullError)
        if not is_full or not Reserve(library, 0).release():
            raise
    return Database(library / CATALOG, schema="")


def _write(
    target: BinaryIO, frozen: _Frozen, entries: dict[str, _Entry], on_bytes: Progress
) -> None:
    listed = {name: [entry.sha256, entry.size_bytes] for name, entry in entries.items()}
    manifest = orjson.dumps({"format": FORMAT, "files": listed})
    digest = hashlib.sha256(manifest).hexdigest()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"manifest-{digest}.json", io.BytesIO(manifest), len(manifest))
        for name, entry in entries.items():
            with frozen.open(name) as source:
                _add(archive, name, source, entry.size_bytes)
            on_bytes(entry.size_bytes)


def _add(archive: tarfile.TarFile, name: str, source: IO[bytes], size_bytes: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = 0o600
    archive.addfile(member, source)


def _read_manifest(archive: tarfile.TarFile, file: Path) -> dict[str, _Entry]:
    member = archive.next()
    match = _MANIFEST.fullmatch(member.name) if member else None
    if member is None or match is None or member.size > _LARGEST_MANIFEST_BYTES:
        raise BackupError(f"{file} is no backup of a library")
    source = archive.extractfile(member)
    manifest = source.read() if source else b""
    if hashlib.sha256(manifest).hexdigest() != match.group(1):
        raise BackupError(f"{file} is damaged: its list of files has another hash")
    content = orjson.loads(manifest)
    if content.get("format") != FORMAT:
        raise BackupError(f"{file} has format {content.get('format')}, this version reads {FORMAT}")
    return {name: _Entry(*entry) for name, entry in content["files"].items()}


def _extract(
    archive: tarfile.TarFile, entries: dict[str, _Entry], library: Path, on_bytes: Progress
) -> None:
    missing = dict(entries)
    catalog = library / f"{CATALOG}.restored"
    while member := archive.next():
        entry = missing.pop(member.name, None)
        source = archive.extractfile(member) if member.isreg() else None
        if entry is None or source is None or not _MEMBER.fullmatch(member.name):
            raise BackupError(
                f"the backup holds {member.name!r:.120}, which its list does not name"
            )
        target = catalog if member.name == CATALOG else library / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as copy:
            if copy_hashed(source, copy) != entry.sha256:
                raise BackupError(
                    f"the backup is damaged: {member.name} has another hash than its list says"
                )
        on_bytes(entry.size_bytes)
    if missing:
        raise BackupError(f"the backup is cut short: {len(missing)} of its files are missing")
    catalog.replace(library / CATALOG)
    sync_directory(library)


def _measure(frozen: _Frozen, name: str) -> _Entry:
    with frozen.open(name) as file:
        digest = hashlib.file_digest(file, "sha256")
        return _Entry(digest.hexdigest(), file.tell())


def _summary(entries: dict[str, _Entry]) -> Summary:
    return Summary(len(entries) - 1, sum(entry.size_bytes for entry in entries.values()))
