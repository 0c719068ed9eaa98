"""From the files of one request to their embeddings: decoded while the encoder works.

Files of any length take the same way. A clip is cut into pieces as it is decoded, and the next is
decoded while those before it wait for the encoder or are in it, no more of them than keep it busy:
memory stays flat. What was embedded before is known by its bytes and not decoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import AudioLimits, open_audio
from service.audio.drift import InputMeter, InputReading
from service.audio.levels import LevelMeter
from service.concurrency.deadline_semaphore import DeadlineSemaphore
from service.concurrency.timings import RequestTimings
from service.errors import SamplesTooManyError, WindowInvalidError
from service.inference.batcher import Submitter
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.chunking import Chunk
from service.inference.encoder import Encoder
from service.inference.file_embedding import Embedded, FileEmbedding, Key, audio_info
from service.inference.pending_chunks import PendingChunks
from service.inference.pooling import Windowing, WindowPool, count_windows

_Decoded = tuple[Chunk, bytes]

AHEAD_S = 40.0
"""Audio of one request that may be on its way through the encoder; two pieces in any case [s]."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How much one request may hold.

    Attributes:
        audio: `max_seconds` of each file and `max_samples` of all files together.
        max_windows: Most windows of all files together.
    """

    audio: AudioLimits
    max_windows: int


class FileEmbedder:
    """Decodes and embeds files, for several threads at once.

    Args:
        encoder: Whose embeddings they are.
        runs: What encodes the pieces.
        limits: How much one request may hold.
        decoders: Files that are decoded at once.
        cache: Keeps what was embedded; nothing is kept if not given.
        on_input: Called with what was measured of each file that was decoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        runs: Submitter,
        *,
        limits: RequestLimits,
        decoders: int = 1,
        cache: EmbeddingCache | None = None,
        on_input: Callable[[InputReading], object] = lambda _: None,
    ) -> None:
        self.encoder = encoder
        self.limits = limits
        self.cache = cache or EmbeddingCache(0)
        self.on_input = on_input
        self._runs = runs
        self._decoders = DeadlineSemaphore(decoders)

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
            timings: Takes the time spent.
            windowing: Cut the clips into windows.
            max_windows: Most windows of all files together; the limit of a request if None.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            WindowInvalidError: The windows would be too short, too long or too many.
            AbandonedError: The client left.
            DeadlineError: The deadline passed.
        """
        ahead = int(AHEAD_S * self.encoder.sample_rate)
        most = self.limits.max_windows if max_windows is None else max_windows
        with PendingChunks(self._runs, timings, ahead) as pending:
            compares = self.cache.keeps or len(files) > 1
            hearing = _EmbedSession(self, pending, timings, windowing, most, compares=compares)
            takes = [hearing.begin(file) for file in files]
            pending.drain()
        return [self._finish(take) for take in takes]

    @contextmanager
    def decoding(self, timings: RequestTimings) -> Iterator[None]:
        """Wait for a turn to decode, and measure what is done with it.

        Raises:
            AbandonedError: The client left.
            DeadlineError: The deadline passed.
        """
        with timings.measure("queue"):
            self._decoders.acquire(timings.deadline)
        try:
            with timings.measure("decode"):
                yield
        finally:
            self._decoders.release()

    def _finish(self, take: FileEmbedding) -> Embedded:
        embedded = take.finish()
        fingerprint, digest, _ = take.key
        # Known without its windows as well, for whoever asks for none.
        self.cache.put((fingerprint, digest, None), replace(embedded, windows=None))
        if embedded.windows is not None:
            self.cache.put(take.key, embedded)
        return embedded


class _EmbedSession:
    """One request: its files begin one after another and share its limits.

    Where `compares` is false there is nothing that a file could equal, and it is not hashed.

    Raises:
        WindowInvalidError: The windows would be too short or too long.
    """

    def __init__(
        self,
        embedder: FileEmbedder,
        pending: PendingChunks,
        timings: RequestTimings,
        windowing: Windowing | None,
        max_windows: int,
        *,
        compares: bool,
    ) -> None:
        self._embedder = embedder
        self._info = embedder.encoder.info
        self._pending = pending
        self._timings = timings
        self._windowing = windowing
        self._compares = compares
        self._partials = None if windowing is None else windowing.in_partials(self._info)
        self._samples_left = embedder.limits.audio.max_samples
        self._max_windows = self._windows_left = max_windows
        self._by_content: dict[Key, FileEmbedding] = {}
        self._by_samples: dict[bytes, FileEmbedding] = {}

    def begin(self, file: BinaryIO) -> FileEmbedding:
        """Decode a file and hand its pieces to the encoder, unless its content is known."""
        with self._timings.measure("decode"):
            digest = content_digest(file) if self._compares else ""
        key = (self._embedder.encoder.fingerprint, digest, self._windowing)
        take = self._by_content.get(key) or self._recall(key) or self._hear(file, key)
        if take.n_samples > self._samples_left:
            raise self._too_many_samples()
        self._samples_left -= take.n_samples
        self._windows_left -= self._count_windows(take.n_samples)
        self._by_content[key] = take
        return take

    def _recall(self, key: Key) -> FileEmbedding | None:
        embedded = self._known(*key)
        if embedded is None:
            return None
        take = FileEmbedding(key, self._info)
        take.end(embedded.info, embedded.samples_digest, embedded)
        return self._same(take)

    def _known(self, fingerprint: str, digest: str, windowing: Windowing | None) -> Embedded | None:
        """Return what the cache has of a file, with its windows if it has any."""
        embedded = self._embedder.cache.get((fingerprint, digest, None))
        if embedded and windowing and windowing.cuts(embedded.n_samples, self._info):
            return self._embedder.cache.get((fingerprint, digest, windowing))
        return embedded

    def _hear(self, file: BinaryIO, key: Key) -> FileEmbedding:
        limits = replace(self._embedder.limits.audio, max_samples=self._samples_left)
        windows = None
        if self._windowing is not None:
            windows = WindowPool(self._info, self._windowing, max_windows=self._windows_left)
        take = FileEmbedding(key, self._info, windows)
        try:
            with closing(self._read(file, take, limits)) as pieces:
                for piece, digest in self._decoded(pieces):
                    self._count_windows(take.n_samples)
                    if not (piece.is_whole and digest in self._by_samples):
                        self._send(take, piece)
        except SamplesTooManyError as error:
            raise self._too_many_samples() from error
        return self._same(take)

    def _read(
        self, file: BinaryIO, take: FileEmbedding, limits: AudioLimits
    ) -> Generator[_Decoded]:
        """Yield the pieces of a file, each with the digest of all samples so far."""
        digest = hashlib.sha256()
        with open_audio(file, sample_rate=self._info.sample_rate_hz, limits=limits) as reader:
            meter = InputMeter(reader.source_rate_hz)
            hashed = digest if self._compares else None
            blocks = _measured(reader.blocks(meter.add), hashed, take.level)
            for piece in take.cutter.cut(blocks):
                yield piece, digest.digest()
        take.end(audio_info(reader), digest.digest())
        self._embedder.on_input(meter.reading())

    def _same(self, take: FileEmbedding) -> FileEmbedding:
        """Let a file have the embedding of the first one of the request with the same samples."""
        first = self._by_samples.setdefault(take.samples_digest, take)
        if first is not take:
            take.same = first
        return take

    def _decoded(self, pieces: Iterator[_Decoded]) -> Iterator[_Decoded]:
        """Yield pieces; only decoding them takes a turn, what is done with them does not."""
        while True:
            with self._embedder.decoding(self._timings):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece
            if piece[0].is_whole:  # nothing of the file is left to decode
                yield from pieces
                return

    def _send(self, take: FileEmbedding, piece: Chunk) -> None:
        if piece.is_whole and not self._is_cut(piece.samples.size):
            self._pending.send(piece.samples, "embedding", take.add_embedding)
        else:
            self._pending.send(piece.samples, "partials", partial(take.add_partials, piece.valid))

    def _count_windows(self, n_samples: int) -> int:
        """Count the windows of a clip that is at least so long."""
        if self._partials is None or self._windowing is None or not self._is_cut(n_samples):
            return 0
        n_windows = count_windows(self._info.count_partials(n_samples), *self._partials)
        if n_windows > self._windows_left:
            raise WindowInvalidError(
                f"a hop_s of {self._windowing.hop_s:g} s makes too many windows here;"
                f" {self._max_windows} are allowed"
            )
        return n_windows

    def _is_cut(self, n_samples: int) -> bool:
        return self._windowing is not None and self._windowing.cuts(n_samples, self._info)

    def _too_many_samples(self) -> SamplesTooManyError:
        return SamplesTooManyError(
            f"the files of a request have at most {self._embedder.limits.audio.max_samples} samples"
            f" together, at {self._info.sample_rate_hz} Hz"
        )


def _measured(
    blocks: Iterator[Float32[np.ndarray, " samples"]],
    digest: hashlib._Hash | None,
    level: LevelMeter,
) -> Iterator[Float32[np.ndarray, " samples"]]:
    for block in blocks:
        if digest is not None:
            digest.update(np.ascontiguousarray(block).data)
        level.add(block)
        yield block
