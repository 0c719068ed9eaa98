"""The stored audio files of a library: each is complete and durable, or does not exist.

    audio/<2 hex>/<sha256><extension>    an audio file, named by its digest
    tmp/<random>/                        one folder for each open store, locked while it is open

A file is written and synchronised in the store's own folder under `tmp`, then renamed to its final
name. The lock shows whether the process of a folder is still running.

When a library is opened, its files are compared with its clips. Audio files that no clip names are
moved into the quarantine; no audio file is deleted. Unfinished copies below `tmp` are deleted if
their process is gone: the upload was never acknowledged, or the audio file has another name.
"""

from __future__ import annotations

import errno
import hashlib
import logging
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

from service.catalog.quarantine import Quarantine
from service.catalog.stored_names import stored_files, stored_name
from service.clips import StoredAudio
from service.concurrency.durable import sync_directory
from service.concurrency.locks import claim_directory, claimed_folder, shared_directory
from service.concurrency.storage import open_regular

REMOVED_SUFFIX = "~removed"
"""End of the name of a file that was removed while a backup may still read it."""

_LOGGER = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20
_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_OWN_FOLDER = re.compile(r"[0-9a-f]{32}")


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


@dataclass(slots=True)
class MovedAudio:
    """Audio files that were moved when a library was opened.

    Attributes:
        n_quarantined: Files that no clip names, now in the quarantine.
        quarantine: Their folder there.
        n_returned: Files of clips that were moved back from the quarantine.
    """

    n_quarantined: int = 0
    quarantine: Path | None = None
    n_returned: int = 0


def is_in_use(library: Path) -> bool:
    """Tell whether a running process has the library open."""
    return any(map(_is_claimed, _folders_of_stores(library / "tmp")))


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
        name = stored_name(audio.sha256, audio.extension)
        temporary = self._own / uuid4().hex
        try:
            if audio.linked and isinstance(audio.file, Path) and _link(audio.file, temporary):
                digest, size_bytes = _synchronise(temporary)
            else:
                digest, size_bytes = _copy(audio.file, temporary)
            if digest != audio.sha256:
                raise OSError(f"the audio has digest {digest}, not {audio.sha256} as announced")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
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

    def move_orphans(self, named: Collection[str]) -> MovedAudio:
        """Compare the stored files with the clips, and move files into or out of the quarantine.

        A file that no clip names is moved into the quarantine. A file that a clip names, and that
        is only in the quarantine, is moved back: the catalogue before was an older one. Files
        that no library makes are left alone.

        Args:
            named: Names of the files that clips name, relative to the library.
        """
        remove_kept(self._library)
        quarantine = Quarantine(self._library)
        moved = MovedAudio()
        try:
            moved.n_returned = quarantine.give_back(named)
            if orphans := [name for name in stored_files(self._library) if name not in named]:
                moved.quarantine = quarantine.take(orphans)
                moved.n_quarantined = len(orphans)
        except OSError as error:
            _LOGGER.warning("%s: audio files could not be moved: %s", quarantine.path, error)
        for folder in _folders_of_stores(self._tmp):
            _remove_abandoned(folder)
        return moved

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
        return open_regular(path)
    except FileNotFoundError:
        return open_regular(path.with_name(path.name + REMOVED_SUFFIX))


def remove_kept(library: Path) -> None:
    """Remove the files that were renamed instead of removed, unless a backup is running."""
    audio = library / "audio"
    if (claim := claim_directory(audio)) is None:
        return
    try:
        for path in audio.glob(f"*/*{REMOVED_SUFFIX}"):
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


def _copy(source: BinaryIO | Path, path: Path) -> tuple[str, int]:
    """Copy audio into a new file, durably; return its digest and size [bytes]."""
    with ExitStack() as opened:
        target = opened.enter_context(path.open("xb"))
        if isinstance(source, Path):
            source = opened.enter_context(source.open("rb"))
        else:
            source.seek(0)
        digest = copy_hashed(source, target)
        target.flush()
        os.fsync(target.fileno())
        return digest, target.tell()


def _remove(path: Path, *, is_kept: bool) -> None:
    if is_kept:
        try:
            path.replace(path.with_name(path.name + REMOVED_SUFFIX))
        except FileNotFoundError:
            return
        except OSError:  # no room for the longer name: the deletion matters more than the backup
            path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)


def _link(source: Path, path: Path) -> bool:
    """Give a file a second name; False if the file system cannot do that."""
    try:
        path.hardlink_to(source)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def _synchronise(path: Path) -> tuple[str, int]:
    """Put a file on the disk; return its digest and size [bytes]."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return digest, file.tell()


def _folders_of_stores(tmp: Path) -> list[Path]:
    """Return the folder of each store, whether or not its process is still running."""
    return [path for path in tmp.glob("*") if path.is_dir() and _OWN_FOLDER.fullmatch(path.name)]


def _is_claimed(folder: Path) -> bool:
    claim = claim_directory(folder)
    if claim is not None:
        os.close(claim)
    return claim is None


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of unfinished copies unless its process is running."""
    claim = claim_directory(folder)
    if claim is not None:
        shutil.rmtree(folder)
        os.close(claim)
