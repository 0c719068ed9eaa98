"""The stored audio files of a library: each is complete and durable, or does not exist.

    audio/<2 hex>/<sha256><extension>    an audio file, named by its digest
    tmp/<random>/                        one folder for each open store, locked while it is open

A file is written and synchronised in the store's own folder under `tmp`, then renamed to its final
name. The lock shows whether the process of a folder is still running: the clean-up at start
removes the files left by a crash, but not the uploads of another process.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO
from uuid import uuid4

from service.clips import StoredAudio
from service.concurrency.durable import sync_directory
from service.concurrency.locks import claim_directory, claimed_folder, shared_directory

KEPT = "~removed"
"""End of the name of a file that was removed while a backup may still read it."""

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9]{1,16})?")


@dataclass(frozen=True, slots=True)
class StagedAudio:
    """A complete copy of an audio file under a temporary name.

    Attributes:
        temporary: The copy.
        name: Final name, relative to the library.
        size_bytes: Size of the file [bytes].
    """

    temporary: Path
    name: str
    size_bytes: int


class AudioStore:
    """Audio files in the folder of a library.

    Only `stage` and `discard` may run beside other calls, in this process or another. The library
    holds its lock around all other calls, opening and closing included.
    """

    def __init__(self, library: Path) -> None:
        self._library = library
        self._audio = library / "audio"
        self._tmp = library / "tmp"
        self._audio.mkdir(exist_ok=True)
        self._tmp.mkdir(exist_ok=True)
        self._opened = ExitStack()
        self._own = self._opened.enter_context(claimed_folder(self._tmp))

    def stage(self, audio: StoredAudio) -> StagedAudio:
        """Copy audio to the disk under a temporary name, durably.

        Raises:
            ValueError: The digest or the extension could not name a file.
            OSError: The source cannot be read, its bytes do not have the digest (it was changed
                meanwhile), or the disk is full. No copy is left.
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

    def publish(self, staged: Iterable[StagedAudio]) -> None:
        """Rename staged files to their final names, durably."""
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
        """Remove staged files that were not published; published ones stay."""
        for item in staged:
            item.temporary.unlink(missing_ok=True)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, if they exist.

        While a backup reads the library, a file is only renamed; `remove_kept` removes it later.
        """
        claim = claim_directory(self._audio)
        try:
            for name in names:
                _remove(self._library / name, is_kept=claim is None)
        finally:
            if claim is not None:
                os.close(claim)

    def remove_orphans(self, keep: Collection[str]) -> int:
        """Remove the files that a crash left: those that no clip names, and unfinished copies.

        Args:
            keep: Names of the files that clips name, relative to the library.

        Returns:
            Number of removed files.
        """
        remove_kept(self._library)
        orphans = [
            path
            for path in self._audio.glob("*/*")
            if path.is_file()
            and path.relative_to(self._library).as_posix() not in keep
            and not path.name.endswith(KEPT)
        ]
        for path in orphans:
            path.unlink()
        folders = [path for path in self._tmp.iterdir() if path.is_dir()]
        return len(orphans) + sum(_remove_abandoned(folder) for folder in folders)

    def close(self) -> None:
        """Remove the store's own folder; the store is not used after this."""
        self._opened.close()


@contextmanager
def kept_audio(library: Path) -> Iterator[None]:
    """Keep all audio files of a library that are removed inside, for `open_kept`.

    They take no further room. Writers do not wait.
    """
    audio = library / "audio"
    audio.mkdir(exist_ok=True)
    try:
        with shared_directory(audio):
            yield
    finally:
        remove_kept(library)


def open_kept(library: Path, name: str) -> BufferedReader:
    """Open an audio file that was in the library when `kept_audio` was entered.

    Raises:
        FileNotFoundError: It was not there.
    """
    path = library / name
    try:
        return path.open("rb")
    except FileNotFoundError:
        return path.with_name(path.name + KEPT).open("rb")


def remove_kept(library: Path) -> None:
    """Remove the files that were renamed instead of removed, unless a backup is running."""
    audio = library / "audio"
    if (claim := claim_directory(audio)) is None:
        return
    try:
        for path in audio.glob(f"*/*{KEPT}"):
            path.unlink(missing_ok=True)
    finally:
        os.close(claim)


def copy_hashed(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy all bytes from the current position and return their SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _copy(source: BinaryIO | Path, target: BinaryIO) -> str:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return copy_hashed(file, target)
    source.seek(0)
    return copy_hashed(source, target)


def _remove(path: Path, *, is_kept: bool) -> None:
    if is_kept:
        try:
            path.replace(path.with_name(path.name + KEPT))
        except FileNotFoundError:
            return
        except OSError:  # no room for the longer name: the deletion matters more than the backup
            path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> int:
    """Remove a folder of copies unless its process lives; return how many files it held."""
    claim = claim_directory(folder)
    if claim is None:
        return 0
    n_copies = len(list(folder.iterdir()))
    shutil.rmtree(folder)
    os.close(claim)
    return n_copies
