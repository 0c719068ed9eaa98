"""Embeds the files of a request: decode -> chunk -> submit -> pool, with a cache around it.

Files of any length are handled alike. The next chunk of a file is decoded while the encoder works
on those before it. A bounded number of chunks is pending, so memory does not grow with the length.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from service.audio.decoder import Decoder, decode_blocks
from service.audio.decoding import AudioLimits
from service.audio.errors import SamplesTooManyError
from service.audio.levels import InputReading
from service.concurrency.deadline_semaphore import DeadlineSemaphore
from service.concurrency.timings import RequestTimings
from service.errors import WindowInvalidError
from service.inference.batcher import Submitter
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.chunking import Chunk, DecodedFile, split_chunks
from service.inference.encoder import Encoder
from service.inference.file_embedding import Embedded, FileEmbedding, PendingChunks, pool_files
from service.inference.pooling import Windowing

MAX_PENDING_S = 40.0
"""Audio of one request that may be with the encoder; two chunks in any case [s]."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of one request.

    Attributes:
        audio: `max_seconds` of each file, and `max_samples` of all files together.
        max_windows: Most windows of all files together.
    """

    audio: AudioLimits
    max_windows: int


@dataclass(frozen=True, slots=True)
class Decoders:
    """Decoders of the files.

    Attributes:
        at_once: Files that are decoded at once.
        decode: Decodes one file.
    """

    at_once: int = 1
    decode: Decoder = decode_blocks


class FileEmbedder:
    """Decodes and embeds files, for several threads at once.

    Args:
        encoder: Encoder of the embeddings.
        submitter: Encodes the chunks.
        limits: Limits of one request.
        decoders: Decode the files.
        cache: Keeps the results; none are kept if it is not given.
        on_input: Called with the measurements of each file that was decoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        submitter: Submitter,
        *,
        limits: RequestLimits,
        decoders: Decoders | None = None,
        cache: EmbeddingCache | None = None,
        on_input: Callable[[InputReading], object] = lambda _: None,
    ) -> None:
        self.encoder = encoder
        self.limits = limits
        self.on_input = on_input
        self.submitter = submitter
        decoders = decoders or Decoders()
        self.decode = decoders.decode
        self.decoders = DeadlineSemaphore(decoders.at_once)
        self._cache = cache or EmbeddingCache(0)

    def embed(
        self,
        files: Sequence[BinaryIO],
        timings: RequestTimings,
        *,
        windowing: Windowing | None = None,
        max_windows: int | None = None,
    ) -> list[Embedded]:
        """Decode and embed files, in their order; equal samples get equal bits.

        Args:
            files: Audio files, seekable.
            timings: Receives the time spent.
            windowing: How to cut the clips into windows; they are not cut if None.
            max_windows: Most windows of all files together; the limit of a request if None.

        Raises:
            AudioError: A file cannot be decoded, or is over a limit.
            WindowInvalidError: The windows would be too short, too long or too many.
            ClientDisconnectedError: The client left.
            DeadlineError: The deadline passed.
        """
        if not files:
            return []
        hashed = self._cache.is_on or len(files) > 1
        session = _EmbedSession(self, timings, windowing, max_windows, hashed=hashed)
        contents = _digest(files, timings) if hashed else [""]
        known = self._look_up(contents, windowing) if self._cache.is_on else {}
        embedded = session.embed(contents, files, known)
        for content, file in embedded.items():
            if content not in known:
                self._cache.put(self.encoder.info, content, windowing, file)
        return [embedded[content] for content in contents]

    def _look_up(self, contents: Iterable[str], windowing: Windowing | None) -> dict[str, Embedded]:
        found = {
            content: self._cache.get(self.encoder.info, content, windowing)
            for content in dict.fromkeys(contents)
        }
        return {content: file for content, file in found.items() if file is not None}


class _EmbedSession:
    """Embeds the files of one request, which share its limits.

    Args:
        embedder: Embeds files.
        timings: Receives the time spent.
        windowing: How to cut the clips into windows; they are not cut if None.
        max_windows: Most windows of all files together; the limit of a request if None.
        hashed: Whether to compute digests of the samples, to find files with equal ones.

    Raises:
        WindowInvalidError: The windows would be too short or too long.
    """

    def __init__(
        self,
        embedder: FileEmbedder,
        timings: RequestTimings,
        windowing: Windowing | None,
        max_windows: int | None,
        *,
        hashed: bool,
    ) -> None:
        if windowing is not None:
            windowing.in_partials(embedder.encoder.info)
        self._embedder = embedder
        self._info = embedder.encoder.info
        self._timings = timings
        self._windowing = windowing
        self._max_windows = embedder.limits.max_windows if max_windows is None else max_windows
        self._windows_left = self._max_windows
        self._samples_left = embedder.limits.audio.max_samples
        self._hashed = hashed
        self._samples: set[bytes] = set()  # digests of the samples of earlier files

    def embed(
        self, contents: Sequence[str], files: Sequence[BinaryIO], known: Mapping[str, Embedded]
    ) -> dict[str, Embedded]:
        """Decode, encode and pool the files that are not in the cache.

        Args:
            contents: Digest of each file.
            files: The files; several may have the same content.
            known: Files that were embedded before, by content.

        Returns:
            All files, by content.
        """
        n_files = Counter(contents)
        for content, embedded in known.items():
            self._count(embedded, n_files[content])
        unknown = {key: file for key, file in zip(contents, files, strict=True) if key not in known}
        embeddings = {
            key: FileEmbedding(self._info, self._windowing, max_windows=self._max_windows)
            for key in unknown
        }
        max_samples = int(MAX_PENDING_S * self._info.sample_rate_hz)
        with PendingChunks(self._embedder.submitter, self._timings, max_samples) as pending:
            decoded = {
                key: self._encode(file, n_files[key], embeddings[key], pending)
                for key, file in unknown.items()
            }
            pending.drain()
            return pool_files(known, decoded, embeddings)

    def _encode(
        self, file: BinaryIO, n_files: int, embedding: FileEmbedding, pending: PendingChunks
    ) -> DecodedFile:
        """Decode a file and submit its chunks; the last one only if its samples are new.

        Args:
            file: Audio file, seekable.
            n_files: Files of the request with this content.
            embedding: Receives the results of the chunks.
            pending: Receives the chunks.
        """
        blocks = self._embedder.decode(
            file,
            sample_rate=self._info.sample_rate_hz,
            limits=self._embedder.limits.audio,
            deadline=self._timings.deadline,
        )
        chunks = split_chunks(blocks, self._info, hashed=self._hashed)
        try:
            chunk, decoded = self._decode_next(chunks)
            while decoded is None:
                self._check(chunk.end)
                pending.submit(chunk, embedding)
                chunk, decoded = self._decode_next(chunks)
        except BaseException:
            chunks.close()  # the decoder of a file that was not decoded to its end
            raise
        self._embedder.on_input(decoded.reading)
        is_new = decoded.samples_digest not in self._samples
        self._count(decoded, n_files)
        if is_new:
            pending.submit(chunk, embedding)
        return decoded

    def _decode_next(
        self, chunks: Iterator[tuple[Chunk, DecodedFile | None]]
    ) -> tuple[Chunk, DecodedFile | None]:
        """Decode the next chunk, once one of the decoders is free.

        Raises:
            SamplesTooManyError: The file has more samples than a request may have.
            ClientDisconnectedError: The client left.
            DeadlineError: The deadline passed.
        """
        decoders, timings = self._embedder.decoders, self._timings
        timings.deadline.check()
        start = time.perf_counter()
        decoders.acquire(timings.deadline)
        acquired = time.perf_counter()
        try:
            return next(chunks)
        except SamplesTooManyError as error:
            raise self._too_many_samples() from error
        finally:
            decoders.release()
            timings.add("queue", acquired - start, end=acquired)
            timings.add("decode", time.perf_counter() - acquired)

    def _count(self, file: DecodedFile | Embedded, n_files: int) -> None:
        """Count a file towards the limits, as often as the request has it.

        Raises:
            SamplesTooManyError: The files have too many samples together.
            WindowInvalidError: The files have too many windows together.
        """
        self._windows_left -= self._check(file.n_samples, n_files)
        self._samples_left -= n_files * file.n_samples
        self._samples.add(file.samples_digest)

    def _check(self, n_samples: int, n_files: int = 1) -> int:
        """Check the limits for a file with at least `n_samples`; return its number of windows."""
        if n_files * n_samples > self._samples_left:
            raise self._too_many_samples()
        if self._windowing is None:
            return 0
        n_windows = n_files * self._windowing.count(n_samples, self._info)
        if n_windows > self._windows_left:
            raise WindowInvalidError(
                f"a hop_s of {self._windowing.hop_s:g} s makes too many windows here;"
                f" {self._max_windows} are allowed"
            )
        return n_windows

    def _too_many_samples(self) -> SamplesTooManyError:
        return SamplesTooManyError(
            f"the files of a request have at most {self._embedder.limits.audio.max_samples} samples"
            f" together, at {self._info.sample_rate_hz} Hz"
        )


def _digest(files: Sequence[BinaryIO], timings: RequestTimings) -> list[str]:
    start = time.perf_counter()
    digests = list(map(content_digest, files))
    timings.add("decode", time.perf_counter() - start)
    return digests
