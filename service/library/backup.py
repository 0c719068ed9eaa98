"""A library in one file: a tar whose every member is hashed, made while the library is in use.

    manifest-<sha256>.json    names, sizes and hashes of the members that follow
    catalog.sqlite            the catalogue as of one moment
    audio/...                 the audio that the catalogue keeps

Audio that is read in place (`minuend index` without `--copy`) is named by the catalogue and stays
where it is. The search index is not in it: it is a cache.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

import orjson

from service.bundle.files import hash_file
from service.concurrency.durable import sync_directory
from service.concurrency.locks import claim_directory, file_lock
from service.errors import BackupError
from service.library.catalog_copy import copy_catalog, stored_audio

FORMAT = 1
CATALOG = "catalog.sqlite"

_MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")
_MEMBER = re.compile(r"catalog\.sqlite|audio/[0-9a-f]{2}/[0-9a-f]{64}(\.[A-Za-z0-9]{1,16})?")
_LARGEST_MANIFEST_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds.

    Attributes:
        files: Members with audio.
        size_bytes: Of all members together [bytes].
    """

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    sha256: str
    size_bytes: int


def back_up(library: Path, file: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Write a library into one file that appears under its name only when it is complete.

    Writers wait only while the catalogue is copied and the audio files are linked.

    Args:
        library: Directory of the library; a service may have it open.
        file: The backup; replaced if it is there.
        on_bytes: Called with the number of bytes written since the call before.

    Raises:
        BackupError: There is no library, or the audio of a clip is missing or damaged.
        LibraryError: The catalogue cannot be read.
        OSError: Something cannot be read or written.
    """
    if not (library / CATALOG).is_file():
        raise BackupError(f"{library} is no library: it has no {CATALOG}")
    partial = file.with_name(file.name + ".partial")
    with _frozen(library) as frozen:
        members = sorted(p for p in frozen.rglob("*") if p.is_file())
        entries = {p.relative_to(frozen).as_posix(): _hash(p) for p in members}
        for name, entry in entries.items():
            if name != CATALOG and entry.sha256 not in name:
                raise BackupError(f"{library / name} is damaged: its sha256 is {entry.sha256}")
        try:
            _write(partial, frozen, entries, on_bytes)
            partial.replace(file)
            sync_directory(file.absolute().parent)
        finally:
            partial.unlink(missing_ok=True)
    return _summary(entries)


def restore(file: Path, library: Path, *, on_bytes: Progress = lambda n: None) -> Summary:
    """Make a library from a backup, verifying every byte of it.

    The catalogue comes last: until it is there, there is no library, and a restore that was
    stopped is simply run again.

    Args:
        file: The backup.
        library: Where the library is to be; empty, or not there.
        on_bytes: Called with the number of bytes read since the call before.

    Raises:
        BackupError: The file is no backup, damaged or cut short, or a library is there already.
        OSError: Something cannot be read or written.
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
    """Give a folder with the catalogue and its audio as of one moment."""
    (library / "tmp").mkdir(exist_ok=True)
    frozen = library / "tmp" / uuid4().hex
    with file_lock(library / "library.lock"):
        frozen.mkdir()
        claim = claim_directory(frozen)
        try:
            copy_catalog(library / CATALOG, frozen / CATALOG)
            for name in stored_audio(frozen / CATALOG):
                _link(library / name, frozen / name)
        except BaseException:
            shutil.rmtree(frozen)
            raise
    try:
        yield frozen
    finally:
        shutil.rmtree(frozen)
        if claim is not None:
            os.close(claim)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise BackupError(f"{source} is missing, which the catalogue names") from error


def _write(partial: Path, frozen: Path, entries: dict[str, _Entry], on_bytes: Progress) -> None:
    described = {name: [entry.sha256, entry.size_bytes] for name, entry in entries.items()}
    manifest = orjson.dumps({"format": FORMAT, "files": described})
    digest = hashlib.sha256(manifest).hexdigest()
    with partial.open("wb") as target:
        with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, f"manifest-{digest}.json", io.BytesIO(manifest), len(manifest))
            for name, entry in entries.items():
                with (frozen / name).open("rb") as source:
                    _add(archive, name, source, entry.size_bytes)
                on_bytes(entry.size_bytes)
        target.flush()
        os.fsync(target.fileno())


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
        _copy(source, target, entry, member.name)
        on_bytes(entry.size_bytes)
    if missing:
        raise BackupError(f"the backup is cut short: {len(missing)} of its files are missing")
    catalog.replace(library / CATALOG)
    sync_directory(library)


def _copy(source: IO[bytes], target: Path, entry: _Entry, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != entry.sha256:
        target.unlink()
        raise BackupError(f"the backup is damaged: {name} has another hash than its list says")
    sync_directory(target.parent)


def _hash(path: Path) -> _Entry:
    measured = hash_file(path)
    return _Entry(measured.sha256, measured.size_bytes)


def _summary(entries: dict[str, _Entry]) -> Summary:
    return Summary(len(entries) - 1, sum(entry.size_bytes for entry in entries.values()))
