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
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO, TypeVar

import orjson

from service.catalog.audio_store import kept_audio, open_kept
from service.catalog.database import Database
from service.catalog.inspection import faults_reported, quick_check
from service.catalog.stored_names import digest_of, stored_paths
from service.concurrency.durable import atomic_write
from service.concurrency.storage import free_bytes
from service.errors import BackupError, LibraryError
from service.library.opening import CATALOG, check_for_backup
from service.library.reserve import NEEDED_BYTES, Reserve

FORMAT = 1
MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")

Progress = Callable[[int], object]
T = TypeVar("T")


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
class Member:
    """Entry of the manifest for one member: digest of its bytes, and their number."""

    sha256: str
    size_bytes: int


def summarise(members: Collection[Member]) -> Summary:
    """Return the size of a backup with these members, of which one is the catalogue."""
    return Summary(len(members) - 1, sum(member.size_bytes for member in members))


def back_up(library: Path, file: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Write a library into one file that appears under its name only when it is complete.

    Writers do not wait. The library needs no room for it: the catalogue is copied beside the file,
    and audio files that are removed meanwhile are kept until the end.

    Args:
        library: Folder of the library; a service may have it open.
        file: The backup; an existing file is replaced.
        on_bytes: Called with the number of bytes written since the last call.

    Raises:
        BackupError: The audio of a clip is missing or damaged.
        LibraryError: There is no library, or its catalogue is damaged or cannot be read.
        OSError: A file cannot be read or written.
    """
    _with_room(library, lambda: check_for_backup(library))
    with kept_audio(library), TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as own:
        contents = _read_contents(library, Path(own))
        entries = {name: _measure(contents, name) for name in contents.names}
        for name, entry in entries.items():
            if name != CATALOG and entry.sha256 not in name:
                raise BackupError(f"{library / name} is damaged: its sha256 is {entry.sha256}")
        with atomic_write(file) as target:
            _write(target, contents, entries, on_bytes)
    return summarise(entries.values())


@dataclass(frozen=True, slots=True)
class _Contents:
    """The contents of a library at one moment.

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
            raise BackupError(f"{path} is missing, and the catalogue names it") from error


def _read_contents(library: Path, folder: Path) -> _Contents:
    """Copy the catalogue into a folder; the audio files of the library are kept already."""
    copy = folder / CATALOG
    with faults_reported(library / CATALOG):
        with closing(
            _with_room(library, lambda: Database(library / CATALOG, schema=""))
        ) as catalog:
            catalog.copy_to(copy)
        quick_check(copy, is_alone=True)
        with closing(Database(copy, schema="")) as catalog:
            names = sorted(stored_paths(catalog))
    _check_names(names, library)
    return _Contents(library, copy, [CATALOG, *names])


def _check_names(names: Iterable[str], library: Path) -> None:
    """Check that the catalogue names no file outside the folder of the library."""
    for name in names:
        if digest_of(name) is None:
            raise BackupError(
                f"the catalogue of {library} names {name!r:.120} as a stored file; that is not the"
                " name of one, so it is damaged or was changed by another program"
            )


def _with_room(library: Path, function: Callable[[], T]) -> T:
    """Call a function again with the room of the reserve if it fails on a full disk.

    To open a catalogue that no process has open needs a little room.
    """
    try:
        return function()
    except LibraryError:
        if free_bytes(library) >= NEEDED_BYTES or not Reserve(library, 0).release():
            raise
    return function()


def _write(
    target: BinaryIO, contents: _Contents, entries: dict[str, Member], on_bytes: Progress
) -> None:
    listed = {name: [entry.sha256, entry.size_bytes] for name, entry in entries.items()}
    manifest = orjson.dumps({"format": FORMAT, "files": listed})
    digest = hashlib.sha256(manifest).hexdigest()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"manifest-{digest}.json", io.BytesIO(manifest), len(manifest))
        for name, entry in entries.items():
            with contents.open(name) as source:
                _add(archive, name, source, entry.size_bytes)
            on_bytes(entry.size_bytes)


def _add(archive: tarfile.TarFile, name: str, source: IO[bytes], size_bytes: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = 0o600
    archive.addfile(member, source)


def _measure(contents: _Contents, name: str) -> Member:
    with contents.open(name) as file:
        digest = hashlib.file_digest(file, "sha256")
        return Member(digest.hexdigest(), file.tell())
