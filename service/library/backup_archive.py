"""The tar file of a backup: a manifest with the hash of every member, then the members.

manifest-<sha256>.json    names, sizes and hashes of the members that follow
catalog.sqlite            the catalogue as of one moment
audio/...                 the stored audio files
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import orjson

from service.catalog.audio_store import copy_hashed
from service.catalog.stored_names import is_name_of
from service.concurrency.durable import atomic_write, make_directory
from service.errors import BackupError
from service.library.opening import CATALOG

FORMAT = 1

_MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")
_LARGEST_MANIFEST_BYTES = 1 << 30

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Member:
    """Entry of the manifest for one member.

    Attributes:
        sha256: Digest of its bytes, 64 hexadecimal digits.
        size_bytes: Its size [bytes].
    """

    sha256: str
    size_bytes: int


def write_archive(
    target: BinaryIO, folder: Path, members: Mapping[str, Member], on_bytes: Progress
) -> None:
    """Write the files of a folder, as they are listed."""
    listed = {name: [member.sha256, member.size_bytes] for name, member in members.items()}
    manifest = orjson.dumps({"format": FORMAT, "files": listed})
    digest = hashlib.sha256(manifest).hexdigest()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"manifest-{digest}.json", io.BytesIO(manifest), len(manifest))
        for name, member in members.items():
            with (folder / name).open("rb") as source:
                _add(archive, name, source, member.size_bytes)
            on_bytes(member.size_bytes)


def read_manifest(archive: tarfile.TarFile, file: Path) -> dict[str, Member]:
    """Read and verify the manifest, the first member.

    Raises:
        BackupError: The file is no backup, is damaged, or lists names that no backup has.
    """
    first = archive.next()
    match = _MANIFEST.fullmatch(first.name) if first else None
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


def extract(
    archive: tarfile.TarFile, members: Mapping[str, Member], folder: Path, on_bytes: Progress
) -> None:
    """Write the members that follow the manifest into a folder, durably.

    Raises:
        BackupError: A member is missing, damaged, or not listed.
    """
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


def _members(manifest: bytes, file: Path) -> dict[str, Member]:
    try:
        content = orjson.loads(manifest)
        if (version := content["format"]) != FORMAT:
            raise BackupError(f"{file} has format {version}, this version reads {FORMAT}")
        return {name: Member(str(sha256), int(n)) for name, (sha256, n) in content["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError(f"{file} is no backup of a library: its list is invalid") from error


def _add(archive: tarfile.TarFile, name: str, source: IO[bytes], size_bytes: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = 0o600
    archive.addfile(member, source)
