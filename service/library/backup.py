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
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import orjson

from service.bundle.files import hash_file
from service.catalog.catalog import stored_paths
from service.catalog.database import Database
from service.catalog.inspection import faults_reported, quick_check
from service.catalog.stored_names import digest_of
from service.concurrency.durable import atomic_write
from service.concurrency.locks import claimed_folder, file_lock
from service.errors import BackupError
from service.library.opening import check_for_backup

FORMAT = 1
CATALOG = "catalog.sqlite"

MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")

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
        LibraryError: The catalogue is damaged or cannot be read.
        OSError: A file cannot be read or written.
    """
    if not (library / CATALOG).is_file():
        raise BackupError(f"{library} is no library: it has no {CATALOG}")
    check_for_backup(library)
    with _frozen(library) as frozen:
        quick_check(frozen / CATALOG, is_alone=True)
        paths = sorted(path for path in frozen.rglob("*") if path.is_file())
        entries = {path.relative_to(frozen).as_posix(): _measure(path) for path in paths}
        for name, entry in entries.items():
            if name != CATALOG and entry.sha256 not in name:
                raise BackupError(f"{library / name} is damaged: its sha256 is {entry.sha256}")
        with atomic_write(file) as target:
            _write(target, frozen, entries, on_bytes)
    return _summary(entries)


@contextmanager
def _frozen(library: Path) -> Iterator[Path]:
    """Context manager: yields a folder with catalogue and audio files as of one moment."""
    (library / "tmp").mkdir(exist_ok=True)
    with ExitStack() as opened:
        with file_lock(library / "library.lock"):  # no writer changes the set of audio files now
            frozen = opened.enter_context(claimed_folder(library / "tmp"))
            file = library / CATALOG
            with faults_reported(file), closing(Database(file, schema="")) as catalog:
                catalog.copy_to(frozen / CATALOG)
                names = stored_paths(catalog)
            _check_names(names, library)
            for name in names:
                _link(library / name, frozen / name)
        yield frozen


def _check_names(names: Iterable[str], library: Path) -> None:
    """Check that the catalogue names no file outside the folder of the library."""
    for name in names:
        if digest_of(name) is None:
            raise BackupError(
                f"the catalogue of {library} names {name!r:.120} as a stored file, which is none;"
                " it is damaged or was changed by another program"
            )


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


def _measure(path: Path) -> _Entry:
    measured = hash_file(path)
    return _Entry(measured.sha256, measured.size_bytes)


def _summary(entries: dict[str, _Entry]) -> Summary:
    return Summary(len(entries) - 1, sum(entry.size_bytes for entry in entries.values()))
