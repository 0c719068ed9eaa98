"""The audio files of a library: complete and on the disk, or not there at all.

    audio/<2 hex>/<sha256><extension>    content, named by its digest
    tmp/<random>/                        one directory for each open store, locked while it lives

A file is written and synchronised in the store's own directory under `tmp`, then renamed into its
place. The lock tells a directory in use from one whose owner died, so that the sweep at start
removes what a crash left behind without touching the uploads of another process.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from service.clips import StoredAudio
from service.concurrency.durable import sync_directory
from service.concurrency.locks import claim_directory

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9]{1,16})?")


@dataclass(frozen=True, slots=True)
class StagedAudio:
    """A complete copy that is not yet in its place.

    Attributes:
        temporary: Where it is.
        name: Where it belongs, relative to the library.
        size_bytes: Its size [bytes].
    """

    temporary: Path
    name: str
    size_bytes: int


class AudioStore:
    """Keeps audio files under the directory of a library.

    Only `stage` and `discard` may run beside other calls, in this process or another. Around the
    rest, opening and closing included, the library holds its lock.
    """

    def __init__(self, library: Path) -> None:
        self._library = library
        self._audio = library / "audio"
        self._tmp = library / "tmp"
        self._audio.mkdir(exist_ok=True)
        self._tmp.mkdir(exist_ok=True)
        self._own = self._tmp / uuid4().hex
        self._own.mkdir()
        self._claim = claim_directory(self._own)

    def stage(self, audio: StoredAudio) -> StagedAudio:
        """Copy audio to the disk, beside the place where it will be.

        Raises:
            ValueError: The digest or the extension could not name a file.
            OSError: The source cannot be read, has other bytes than its digest says (it changed
                meanwhile), or the disk is full. Nothing stays behind.
        """
        if not _DIGEST.fullmatch(audio.sha256) or not _EXTENSION.fullmatch(audio.extension):
            raise ValueError(f"no file can be named {audio.sha256!r} + {audio.extension!r}")
        temporary = self._own / uuid4().hex
        try:
            with temporary.open("xb") as target:
                digest = _copy(audio.file, target)
                size_bytes = target.tell()
                target.flush()
                os.fsync(target.fileno())
            if digest != audio.sha256:
                raise OSError(f"the audio has digest {digest}, not {audio.sha256} as announced")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        name = f"audio/{digest[:2]}/{digest}{audio.extension}"
        return StagedAudio(temporary, name, size_bytes)

    def adopt(self, staged: Iterable[StagedAudio]) -> None:
        """Rename staged files into their places, durably."""
        changed: set[Path] = set()
        for item in staged:
            target = self._library / item.name
            if not target.parent.exists():
                target.parent.mkdir()
                changed.add(self._audio)
            item.temporary.replace(target)
            changed.add(target.parent)
        for directory in changed:
            sync_directory(directory)

    def discard(self, staged: Iterable[StagedAudio]) -> None:
        """Remove staged files that were not adopted; adopted ones are left alone."""
        for item in staged:
            item.temporary.unlink(missing_ok=True)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, if they are there."""
        for name in names:
            (self._library / name).unlink(missing_ok=True)

    def sweep(self, keep: Collection[str]) -> int:
        """Remove what a crash left: files the catalogue does not name, and abandoned copies.

        Args:
            keep: Names of the files that belong here, relative to the library.

        Returns:
            How many orphans there were.
        """
        orphans = [
            path
            for path in self._audio.glob("*/*")
            if path.is_file() and path.relative_to(self._library).as_posix() not in keep
        ]
        for path in orphans:
            path.unlink()
        owners = [path for path in self._tmp.iterdir() if path.is_dir()]
        return len(orphans) + sum(_sweep_copies(owner) for owner in owners)

    def close(self) -> None:
        """Give up the directory for copies; the store is not used after this."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def _copy(source: BinaryIO | Path, target: BinaryIO) -> str:
    """Copy all bytes and return their SHA-256."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _copy(file, target)
    source.seek(0)
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _sweep_copies(owner: Path) -> int:
    """Remove a directory of copies unless its owner lives; return how many it held."""
    claim = claim_directory(owner)
    if claim is None:
        return 0
    n_copies = len(list(owner.iterdir()))
    shutil.rmtree(owner)
    os.close(claim)
    return n_copies
