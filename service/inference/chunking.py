"""Splits a clip of any length, while it is decoded, into chunks that the encoder takes in one run.

Chunks overlap by a context, so that pooling their partials gives the same result as one run over
the whole clip. Only the chunk that is being collected is held in memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from service.audio.decoder import Blocks, DecodedSource
from service.audio.levels import InputReading, WaveformMeter
from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo

CHUNK_S = 15.0
"""A clip up to this length is a single chunk [s]."""

Output = Literal["embedding", "partials"]
"""Result of a chunk in the encoder: its embedding, or the sums and maxima of its partials."""
Result = tuple[np.ndarray, ...]
"""The embedding [dim], or the sums and maxima [partials dim]."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a clip, with its context.

    Attributes:
        samples: Mono waveform [samples], float32.
        valid: The partials of a run over `samples` that belong to the chunk and not to its context.
        end: Position of its end in the clip, with the context [samples].
        is_whole: Whether the chunk is the whole clip.
    """

    samples: np.ndarray
    valid: slice
    end: int
    is_whole: bool = False


class Chunker:
    """Splits one clip.

    Args:
        info: Geometry of the encoder.
        chunk_s: Longest chunk, without its context [s].

    Attributes:
        n_samples: Samples of the clip so far.
    """

    def __init__(self, info: EncoderInfo, chunk_s: float = CHUNK_S) -> None:
        self._info = info
        self._partial_samples = info.partial_frames * info.block_samples
        self._chunk_partials = int(chunk_s * info.sample_rate_hz) // self._partial_samples
        self._buffer: list[np.ndarray] = []
        self._buffer_start = 0  # position in the clip [samples]
        self._first = 0  # partial that the next chunk starts with
        self.n_samples = 0

    def split(self, blocks: Iterable[Float32[np.ndarray, " samples"]]) -> Iterator[Chunk]:
        """Yield the chunks of a clip, in order, from blocks of any sizes."""
        for block in blocks:
            yield from self.add(block)
        yield from self.finish()

    def add(self, block: Float32[np.ndarray, " samples"]) -> Iterator[Chunk]:
        """Add the next block, and yield the chunks that are complete and not the last one."""
        self._buffer.append(block)
        self.n_samples += block.size
        # With samples beyond its context, a chunk is not the last one.
        while self.n_samples > (self._first + self._chunk_partials + 1) * self._partial_samples:
            last = self._first + self._chunk_partials
            yield self._chunk(last)
            self._discard((last - 1) * self._partial_samples)
            self._first = last

    def finish(self) -> Iterator[Chunk]:
        """Yield the remaining chunks; all blocks were added."""
        if self.n_samples <= self._chunk_partials * self._partial_samples:
            samples = self._read(0, self.n_samples)
            yield Chunk(samples, slice(None), self.n_samples, is_whole=True)
            return
        n_partials = self._info.count_partials(self.n_samples)
        while self._first < n_partials:
            last = min(self._first + self._chunk_partials, n_partials)
            yield self._chunk(last, is_last=last == n_partials)
            self._first = last

    def _chunk(self, last: int, *, is_last: bool = False) -> Chunk:
        """Return the next chunk, which ends before the partial `last`.

        The context of one partial on either side is longer than the context of a frame.
        """
        first, start = self._first, max(self._first - 1, 0)
        end = self.n_samples
        if not is_last:
            end = min(end, (last + 1) * self._partial_samples)
        samples = self._read(start * self._partial_samples, end)
        return Chunk(samples, slice(first - start, last - start), end)

    def _read(self, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        if len(self._buffer) > 1:
            self._buffer = [np.concatenate(self._buffer)]
        return self._buffer[0][start - self._buffer_start : stop - self._buffer_start]

    def _discard(self, before: int) -> None:
        """Discard the samples before a position."""
        self._buffer = [self._read(before, self.n_samples).copy()]
        self._buffer_start = before


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """A file that was decoded.

    Attributes:
        info: Format of the source.
        reading: Measurements of the source.
        n_samples: Length after resampling.
        samples_digest: SHA-256 of the samples after resampling; empty if it was not computed.
        mean_square: Mean square of the samples after mixing down and resampling.
    """

    info: AudioInfo
    reading: InputReading
    n_samples: int
    samples_digest: bytes
    mean_square: float


def split_chunks(
    blocks: Blocks, info: EncoderInfo, *, hashed: bool = False
) -> Generator[tuple[Chunk, DecodedFile | None]]:
    """Split a file while it is decoded; the last chunk comes with the description of the file.

    The decoder is free before the last chunk is yielded.

    Args:
        blocks: The blocks of a decoder; closed with the result.
        info: Geometry of the encoder.
        hashed: Whether to compute the digest of the samples.

    Raises:
        AudioError: The file cannot be decoded, or is over a limit.
    """
    chunker, waveform = Chunker(info), WaveformMeter(hashed=hashed)
    with closing(blocks):
        source = yield from _split_blocks(blocks, chunker, waveform)
    decoded = DecodedFile(
        reading=source.reading,
        samples_digest=waveform.digest,
        mean_square=waveform.mean_square,
        n_samples=chunker.n_samples,
        info=AudioInfo(
            media_type=source.media_type,
            duration_s=source.duration_s,
            sample_rate_hz=source.sample_rate_hz,
            channels=source.channels,
        ),
    )
    *others, last = chunker.finish()
    for chunk in others:
        yield chunk, None
    yield last, decoded


def _split_blocks(
    blocks: Blocks, chunker: Chunker, waveform: WaveformMeter
) -> Generator[tuple[Chunk, None], None, DecodedSource]:
    """Yield the chunks that are complete and not the last one; return what the source is."""
    while True:
        try:
            block = next(blocks)
        except StopIteration as end:
            source: DecodedSource = end.value
            return source
        waveform.add(block)
        for chunk in chunker.add(block):
            yield chunk, None
