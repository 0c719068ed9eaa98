"""Files on their way into the encoder: read by threads ahead of it, encoded in batches."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import Audio, AudioLimits, decode
from service.clips import AudioInfo, Windows
from service.concurrency.timings import RequestTimings
from service.errors import AudioError, AudioTooLongError
from service.inference.batcher import Batcher
from service.inference.encoder import Encoder
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.inference.file_embedding import audio_info
from service.inference.pooling import Windowing
from service.row_ids import MAX_WINDOWS

WORKERS = 2
# How far the threads may be ahead of the encoder. Decoded audio takes more memory than its file,
# so what waits is bounded by the size of the files as well.
AHEAD_FILES = 32
AHEAD_BYTES = 32 * 1024 * 1024
BATCH_FILES = 16
BATCH_S = 60.0
WHOLE_S = 60.0
"""A file up to this long is decoded as a whole, ahead of the encoder [s]."""

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
    """A file that was decoded and embedded.

    Attributes:
        path: The file.
        info: What decoding told about it.
        embedding: Its raw embedding [dim].
        windows: Its raw embeddings over time, if it is long enough and they are wanted.
    """

    path: Path
    info: AudioInfo
    embedding: Float32[np.ndarray, " dim"]
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class _Decoded:
    path: Path
    audio: Audio


@dataclass(frozen=True, slots=True)
class _Long:
    """A file that is decoded while it is encoded, and never held as a whole."""

    path: Path


_Read = _Decoded | _Long | Unreadable


class FileReader:
    """Reads files with threads of its own; to be used as a context manager.

    Args:
        encoder: Embeds them.
        limits: How much one file may hold.
        windowing: How files are cut into windows; they are not if None.
    """

    def __init__(
        self, encoder: Encoder, *, limits: AudioLimits, windowing: Windowing | None = None
    ) -> None:
        self.windowing = windowing
        self._encoder = encoder
        self._limits = limits
        self._batcher = Batcher(encoder)
        self._embedder = FileEmbedder(
            encoder, self._batcher, limits=RequestLimits(limits, MAX_WINDOWS)
        )
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._batcher.close()

    def hash(self, paths: Iterable[Path]) -> Iterator[Hashed | Unreadable]:
        """Yield each file with the digest of its content, in their order."""
        return self._ahead(_hash, paths)

    def embed(self, paths: Iterable[Path]) -> Iterator[list[EmbeddedFile | Unreadable]]:
        """Yield files with their embeddings in their order, a batch at a time."""
        batch: list[_Read] = []
        seconds = 0.0
        for item in self._ahead(self._decode, paths):
            batch.append(item)
            seconds += _seconds(item)
            if len(batch) >= BATCH_FILES or seconds >= BATCH_S:
                yield self._encode(batch)
                batch, seconds = [], 0.0
        if batch:
            yield self._encode(batch)

    def _encode(self, batch: list[_Read]) -> list[EmbeddedFile | Unreadable]:
        clips = [item.audio.samples for item in batch if isinstance(item, _Decoded)]
        embeddings = iter(self._encoder.embed([clip for clip in clips if not self._is_cut(clip)]))
        embedded: list[EmbeddedFile | Unreadable] = []
        for item in batch:
            match item:
                case Unreadable():
                    embedded.append(item)
                case _Long(path):
                    embedded.append(_read(path, partial(self._hear, path)))
                case _Decoded(path, audio) if self.windowing and self._is_cut(audio.samples):
                    windows = self._encoder.embed_windows(
                        audio.samples,
                        window_s=self.windowing.window_s,
                        hop_s=self.windowing.hop_s,
                    )
                    info = audio_info(audio)
                    embedded.append(EmbeddedFile(path, info, windows.whole, windows))
                case _Decoded(path, audio):
                    embedded.append(EmbeddedFile(path, audio_info(audio), next(embeddings)))
        return embedded

    def _is_cut(self, samples: Float32[np.ndarray, " samples"]) -> bool:
        return self.windowing is not None and self.windowing.cuts(samples.size, self._encoder.info)

    def _hear(self, path: Path, file: BufferedReader) -> EmbeddedFile:
        """Embed a long file piece by piece."""
        (heard,) = self._embedder.embed([file], RequestTimings(), windowing=self.windowing)
        return EmbeddedFile(path, heard.info, heard.embedding, heard.windows)

    def _decode(self, path: Path) -> _Read:
        def decode_file(file: BufferedReader) -> _Decoded | _Long:
            limits = replace(self._limits, max_seconds=min(self._limits.max_seconds, WHOLE_S))
            try:
                audio = decode(file, sample_rate=self._encoder.sample_rate, limits=limits)
            except AudioTooLongError:
                if self._limits.max_seconds <= WHOLE_S:
                    raise
                return _Long(path)
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


def _seconds(item: _Read) -> float:
    """Return how much audio a file counts as in a batch [s]; a long one ends it."""
    match item:
        case _Decoded(_, audio):
            return audio.duration_s
        case _Long():
            return BATCH_S
        case Unreadable():
            return 0.0


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
