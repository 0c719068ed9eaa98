"""A file on its way to its embedding: its pieces are taken back from the encoder and pooled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import Audio, AudioReader
from service.audio.levels import LevelMeter
from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo, Windows
from service.inference.batcher import Result
from service.inference.chunking import Chunker
from service.inference.pooling import PooledStats, Windowing, WindowPool

ENTRY_BYTES = 1024
"""What an embedded file takes beside its arrays, about [bytes]."""

Key = tuple[str, str, Windowing | None]
"""The encoder's fingerprint, the SHA-256 of a file, and how it is cut into windows."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file that was decoded and embedded.

    Attributes:
        info: What decoding told about it.
        n_samples: Its length after resampling.
        samples_digest: SHA-256 of its samples after resampling.
        mean_square: Of its samples, mixed down and resampled.
        embedding: Its raw embedding [dim].
        windows: The embeddings of its windows, if they were asked for.
    """

    info: AudioInfo
    n_samples: int
    samples_digest: bytes
    mean_square: float
    embedding: Float32[np.ndarray, " dim"]
    windows: Windows | None = None

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, about [bytes]."""
        windows = 0 if self.windows is None else self.windows.embeddings.nbytes
        return ENTRY_BYTES + self.embedding.nbytes + windows


class FileEmbedding:
    """A file that is being embedded.

    Args:
        key: What it is known by.
        info: What the encoder says of its frames.
        windows: Pools its windows, if they were asked for.

    Attributes:
        cutter: Cuts it, and knows its length.
        level: Measures it.
        samples_digest: SHA-256 of its samples, once it was read.
        same: The file with the same samples whose embedding it shares.
    """

    def __init__(self, key: Key, info: EncoderInfo, windows: WindowPool | None = None) -> None:
        self.key = key
        self.cutter = Chunker(info)
        self.level = LevelMeter()
        self.samples_digest = b""
        self.same: FileEmbedding | None = None
        self._encoder = info
        self._info = AudioInfo()
        self._windows = windows
        self._pool = PooledStats(info.dim)
        self._embedding: np.ndarray | None = None
        self._embedded: Embedded | None = None

    @property
    def n_samples(self) -> int:
        """Its length, as far as it was read."""
        return self.cutter.n_samples if self._embedded is None else self._embedded.n_samples

    def add_embedding(self, result: Result) -> None:
        """Take the embedding of a clip that is one piece."""
        (embedding,) = result
        self._embedding = embedding.copy()  # a row alone would keep its whole batch in the cache

    def add_partials(self, kept: slice, result: Result) -> None:
        """Take the partials of the next piece; `kept` are those that are not its context."""
        sums, maxima = (partials[kept] for partials in result)
        self._pool.add(sums, maxima)
        if self._windows is not None:
            self._windows.add(sums, maxima)

    def end(self, info: AudioInfo, samples_digest: bytes, embedded: Embedded | None = None) -> None:
        """Note what is known once it was read to its end, or `embedded` before."""
        self._info = info
        self.samples_digest = samples_digest
        self._embedded = embedded

    def finish(self) -> Embedded:
        """Return the embedding; all pieces have been taken."""
        if self.same is not None:
            return replace(self.same.finish(), info=self._info)
        if self._embedded is None:
            n_samples, n_frames = self.n_samples, self.cutter.n_frames
            whole, windows = self._embedding, None
            if whole is None:
                whole = self._pool.embedding(n_frames)
            windowing = self.key[2]
            if self._windows and windowing and windowing.cuts(n_samples, self._encoder):
                windows = self._windows.finish(whole, n_samples, n_frames)
            self._embedded = Embedded(
                self._info, n_samples, self.samples_digest, self.level.mean_square, whole, windows
            )
        return self._embedded


def audio_info(audio: Audio | AudioReader) -> AudioInfo:
    """Return what is kept of a file that was read to its end, beside its embedding."""
    return AudioInfo(
        media_type=audio.media_type,
        duration_s=audio.duration_s,
        sample_rate_hz=audio.source_rate_hz,
        channels=audio.source_channels,
    )
