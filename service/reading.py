"""Files on their way into the encoder: read by threads ahead of it, encoded in batches."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from jaxtyping import Float32

from service.audio import Audio, AudioLimits, decode
from service.clips import AudioInfo
from service.encoder import Encoder
from service.errors import AudioError
from service.takes import audio_info

WORKERS = 2
# How far the threads may be ahead of the encoder. Decoded audio takes more memory than its file,
# so what waits is bounded by the size of the files as well.
AHEAD_FILES = 32
AHEAD_BYTES = 32 * 1024 * 1024
BATCH_FILES = 16
BATCH_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that does not become audio.

    Attributes:
        path: The file.
        code: Stable, as the service's errors have it; `file_unreadable` if the system refuses.
        reason: What is wrong with it.
    """

    path: Path
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file whose content is known.

    Attributes:
        path: The file.
        sha256: Digest of its bytes.
        size_bytes: Number of its bytes.
        modified_ns: When it was last written to, as the system has it [ns].
    """

    path: Path
    sha256: str
    size_bytes: int
    modified_ns: int

    def is_unchanged(self) -> bool:
        """Tell whether the file is still what was hashed, as far as the system tells."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file that was decoded and embedded: facts about it, and its raw embedding [dim]."""

    path: Path
    info: AudioInfo
    embedding: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class _Decoded:
    path: Path
    audio: Audio


class FileReader:
    """Reads files with threads of its own; to be used as a context manager.

    Args:
        encoder: Embeds them.
        limits: How much one file may hold.
    """

    def __init__(self, encoder: Encoder, *, limits: AudioLimits) -> None:
        self._encoder = encoder
        self._limits = limits
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def hash(self, paths: Iterable[Path]) -> Iterator[Hashed | Unreadable]:
        """Yield each file with the digest of its content, in their order."""
        return self._ahead(_hash, paths)

    def embed(self, paths: Iterable[Path]) -> Iterator[list[EmbeddedFile | Unreadable]]:
        """Yield files with their embeddings in their order, a batch at a time."""
        batch: list[_Decoded | Unreadable] = []
        seconds = 0.0
        for item in self._ahead(self._decode, paths):
            batch.append(item)
            seconds += item.audio.duration_s if isinstance(item, _Decoded) else 0.0
            if len(batch) >= BATCH_FILES or seconds >= BATCH_S:
                yield self._encode(batch)
                batch, seconds = [], 0.0
        if batch:
            yield self._encode(batch)

    def _encode(self, batch: list[_Decoded | Unreadable]) -> list[EmbeddedFile | Unreadable]:
        clips = [item.audio.samples for item in batch if isinstance(item, _Decoded)]
        embeddings = iter(self._encoder.embed(clips))
        return [
            item
            if isinstance(item, Unreadable)
            else EmbeddedFile(item.path, audio_info(item.audio), next(embeddings))
            for item in batch
        ]

    def _decode(self, path: Path) -> _Decoded | Unreadable:
        def decode_file(file: BufferedReader) -> _Decoded:
            audio = decode(file, sample_rate=self._encoder.sample_rate, limits=self._limits)
            return _Decoded(path, audio)

        return _read(path, decode_file)

    def _ahead(self, function: Callable[[Path], T], paths: Iterable[Path]) -> Iterator[T]:
        """Apply a function to paths in the threads, and yield its results in their order."""
        waiting: deque[tuple[Future[T], int]] = deque()
        n_bytes = 0
        for path in paths:
            size_bytes = _size_bytes(path)
            while len(waiting) >= AHEAD_FILES or (waiting and n_bytes + size_bytes > AHEAD_BYTES):
                future, done_bytes = waiting.popleft()
                n_bytes -= done_bytes
                yield future.result()
            waiting.append((self._pool.submit(function, path), size_bytes))
            n_bytes += size_bytes
        for future, _ in waiting:
            yield future.result()


def _hash(path: Path) -> Hashed | Unreadable:
    def hash_file(file: BufferedReader) -> Hashed:
        modified_ns = os.fstat(file.fileno()).st_mtime_ns
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Hashed(path, sha256, file.tell(), modified_ns)

    return _read(path, hash_file)


def _read(path: Path, read: Callable[[BufferedReader], T]) -> T | Unreadable:
    """Return what `read` makes of an open file, or why there is nothing to be made of it."""
    try:
        # Opening a pipe would wait for whoever writes into it.
        if path.exists() and not path.is_file():
            return Unreadable(path, "file_unreadable", "it is not a regular file")
        with path.open("rb") as file:
            return read(file)
    except AudioError as error:
        return Unreadable(path, error.code, error.detail)
    except OSError as error:
        return Unreadable(path, "file_unreadable", error.strerror or str(error))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
