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
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import orjson

from service.bundle.files import hash_file
from service.catalog.audio_store import copy_hashed
from service.catalog.catalog import stored_paths
from service.catalog.database import Database
from service.concurrency.durable import atomic_write, sync_directory
from service.concurrency.locks import claimed_folder, file_lock
from service.errors import BackupError

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

    Writers wait only while the catalogue is copied and the audio files are linked.

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
    with _frozen(library) as frozen:
        paths = sorted(path for path in frozen.rglob("*") if path.is_file())
        entries = {path.relative_to(frozen).as_posix(): _measure(path) for path in paths}
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


@contextmanager
def _frozen(library: Path) -> Iterator[Path]:
    """Context manager: yields a folder with catalogue and audio files as of one moment."""
    (library / "tmp").mkdir(exist_ok=True)
    with ExitStack() as opened:
        with file_lock(library / "library.lock"):  # no writer changes the set of audio files now
            frozen = opened.enter_context(claimed_folder(library / "tmp"))
            with closing(Database(library / CATALOG, schema="")) as catalog:
                catalog.copy_to(frozen / CATALOG)
                names = stored_paths(catalog)
            for name in names:
                _link(library / name, frozen / name)
        yield frozen


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise BackupError(f"{source} is missing, which the catalogue names") from error


def _write(target: BinaryIO, frozen: Path, entries: dict[str, _Entry], on_bytes: Progress) -> None:
    listed = {name: [entry.sha256, entry.size_bytes] for name, entry in entries.items()}
    manifest = orjson.dumps({"format": FORMAT, "files": listed})
    digest = hashlib.sha256(manifest).hexdigest()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"manifest-{digest}.json", io.BytesIO(manifest), len(manifest))
        for name, entry in entries.items():
            with (frozen / name).open("rb") as source:
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


def _measure(path: Path) -> _Entry:
    measured = hash_file(path)
    return _Entry(measured.sha256, measured.size_bytes)


def _summary(entries: dict[str, _Entry]) -> Summary:
    return Summary(len(entries) - 1, sum(entry.size_bytes for entry in entries.values()))
