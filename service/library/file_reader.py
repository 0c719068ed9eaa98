"""Reads and embeds the files of a folder, several at once, and yields them in their order."""

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

from service.audio.decoding import AudioLimits
from service.clips import AudioInfo, Windows
from service.concurrency.deadline import Deadline
from service.concurrency.storage import open_regular
from service.concurrency.timings import RequestTimings
from service.errors import ClientError
from service.inference.batcher import Batcher
from service.inference.encoder import Encoder
from service.inference.file_embedder import Decoders, FileEmbedder, RequestLimits
from service.inference.pooling import Windowing
from service.row_ids import MAX_WINDOWS

DECODERS = 2
"""Files that are decoded at once."""
AHEAD_FILES = 32
"""Files ahead of the consumer, each in its own thread: enough to fill the runs of the encoder."""
AHEAD_BYTES = 32 * 1024 * 1024
"""Size of these files; a larger one is read alone."""
BATCH_FILES = 16
"""Files that are yielded, and so committed, together; few are lost when the process stops."""
BATCH_S = 60.0
"""Audio that is yielded together; the file that reaches it is the last one of its batch [s]."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be read or decoded.

    Attributes:
        path: The file.
        code: Error code of the service; `file_unreadable` for an error of the system.
        reason: Description of the error.
    """

    path: Path
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file with the digest of its content.

    Attributes:
        path: The file.
        sha256: SHA-256 of the content, 64 hexadecimal digits.
        size_bytes: Size of the content [bytes].
        modified_ns: Time of the last modification, from the file system [ns].
    """

    path: Path
    sha256: str
    size_bytes: int
    modified_ns: int

    def is_unchanged(self) -> bool:
        """Tell whether size and modification time are still the same."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file that was decoded and embedded.

    Attributes:
        path: The file.
        info: Format of the source.
        embedding: Raw embedding [dim].
        windows: Raw embeddings of the windows, if the file is cut into windows.
    """

    path: Path
    info: AudioInfo
    embedding: Float32[np.ndarray, " dim"]
    windows: Windows | None = None


class FileReader:
    """Reads files in threads of its own; a context manager.

    Args:
        encoder: Embeds the files.
        limits: Limits of one file.
        windowing: How to cut the files into windows; they are not cut if None.
    """

    def __init__(
        self, encoder: Encoder, *, limits: AudioLimits, windowing: Windowing | None = None
    ) -> None:
        self.windowing = windowing
        self._batcher = Batcher(encoder, runs=encoder.runs)
        self._embedder = FileEmbedder(
            encoder,
            self._batcher,
            limits=RequestLimits(limits, MAX_WINDOWS),
            decoders=Decoders(DECODERS),
        )
        self._deadline = Deadline()
        self._threads = ThreadPoolExecutor(AHEAD_FILES, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._deadline.abandon()  # ends the embedding of files that are in progress
        self._threads.shutdown(cancel_futures=True)
        self._batcher.close()

    def hash(self, paths: Iterable[Path]) -> Iterator[Hashed | Unreadable]:
        """Yield each file with the digest of its content, in order."""
        return self._read_ahead(_hash, paths)

    def embed(self, paths: Iterable[Path]) -> Iterator[list[EmbeddedFile | Unreadable]]:
        """Yield the files with their embeddings, in order and a batch at a time."""
        batch: list[EmbeddedFile | Unreadable] = []
        seconds = 0.0
        for file in self._read_ahead(self._embed, paths):
            batch.append(file)
            if isinstance(file, EmbeddedFile):
                seconds += file.info.duration_s or 0.0
            if len(batch) >= BATCH_FILES or seconds >= BATCH_S:
                yield batch
                batch, seconds = [], 0.0
        if batch:
            yield batch

    def _embed(self, path: Path, file: BufferedReader) -> EmbeddedFile:
        timings = RequestTimings(self._deadline)
        (embedded,) = self._embedder.embed([file], timings, windowing=self.windowing)
        return EmbeddedFile(path, embedded.info, embedded.embedding, embedded.windows)

    def _read_ahead(
        self, read: Callable[[Path, BufferedReader], T], paths: Iterable[Path]
    ) -> Iterator[T | Unreadable]:
        """Read files in the threads, and yield the results in order."""
        pending: deque[tuple[Future[T | Unreadable], int]] = deque()
        n_bytes = 0
        for path in paths:
            size_bytes = _size_bytes(path)
            while len(pending) >= AHEAD_FILES or (pending and n_bytes + size_bytes > AHEAD_BYTES):
                future, read_bytes = pending.popleft()
                n_bytes -= read_bytes
                yield future.result()
            pending.append((self._threads.submit(_read, path, read), size_bytes))
            n_bytes += size_bytes
        for future, _ in pending:
            yield future.result()


def _hash(path: Path, file: BufferedReader) -> Hashed:
    modified_ns = os.fstat(file.fileno()).st_mtime_ns
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Hashed(path, sha256, file.tell(), modified_ns)


def _read(path: Path, read: Callable[[Path, BufferedReader], T]) -> T | Unreadable:
    """Call `read` with an open file; return its result, or why the file cannot be read."""
    try:
        with open_regular(path) as file:
            return read(path, file)
    except ClientError as error:
        return Unreadable(path, error.code, error.detail)
    except OSError as error:
        return Unreadable(path, "file_unreadable", error.strerror or str(error))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
