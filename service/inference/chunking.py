"""Cuts a clip of any length, as it arrives, into pieces that the encoder takes in one run.

A piece hears a little of its neighbours, so that pooling the pieces gives what one run over the
whole clip would have given. Nothing of a clip is held but the piece that is being gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.bundle.manifest import EncoderInfo

CHUNK_S = 15.0
"""A clip up to this long is one piece [s]."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a clip, with its context.

    Attributes:
        samples: Mono waveform [samples], float32.
        kept: Which of the partials that a run over it gives are those of the piece.
        is_whole: Whether it is the whole clip.
    """

    samples: np.ndarray
    valid: slice
    is_whole: bool


class Chunker:
    """Cuts one clip.

    Args:
        info: What the encoder says of its frames.
        piece_s: Longest piece, without its context [s].

    Attributes:
        n_samples: Samples of the clip so far.
    """

    def __init__(self, info: EncoderInfo, piece_s: float = CHUNK_S) -> None:
        self._info = info
        self._partial_samples = info.partial_frames * info.block_samples
        self._piece_partials = int(piece_s * info.sample_rate_hz) // self._partial_samples
        self._gathered: list[np.ndarray] = []
        self._start = 0  # of what is gathered [samples]
        self.n_samples = 0

    def cut(self, blocks: Iterable[Float32[np.ndarray, " samples"]]) -> Iterator[Chunk]:
        """Yield the pieces of a clip that comes in blocks of any sizes; in their order."""
        first = 0
        for block in blocks:
            self._gathered.append(block)
            self.n_samples += block.size
            # Beyond its context there is more: this piece is not the last.
            while self.n_samples > (first + self._piece_partials + 1) * self._partial_samples:
                last = first + self._piece_partials
                yield self._piece(first, last)
                self._forget((last - 1) * self._partial_samples)
                first = last
        if self.n_samples <= self._piece_partials * self._partial_samples:
            yield Chunk(self._between(0, self.n_samples), slice(0, self.n_partials), is_whole=True)
            return
        while first < self.n_partials:
            last = min(first + self._piece_partials, self.n_partials)
            yield self._piece(first, last)
            first = last

    @property
    def n_frames(self) -> int:
        """The encoder frames of the clip so far."""
        return self._info.count_frames(self.n_samples)

    @property
    def n_partials(self) -> int:
        """The partials of the clip so far."""
        return self._info.count_partials(self.n_samples)

    def _piece(self, first: int, last: int) -> Chunk:
        """Return the piece of the partials `first` to `last`.

        One partial of context on either side is more than a frame depends on.
        """
        start = max(first - 1, 0)
        is_last = last == self.n_partials
        stop = self.n_samples if is_last else (last + 1) * self._partial_samples
        samples = self._between(start * self._partial_samples, stop)
        return Chunk(samples, slice(first - start, last - start), is_whole=False)

    def _between(self, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        if len(self._gathered) > 1:
            self._gathered = [np.concatenate(self._gathered)]
        return self._gathered[0][start - self._start : stop - self._start]

    def _forget(self, before: int) -> None:
        """Let go of the samples before a position."""
        self._gathered = [self._between(before, self.n_samples).copy()]
        self._start = before
