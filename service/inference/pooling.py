"""Pools the partials of a clip, as they come, into its embedding and those of its windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.bundle.manifest import EncoderInfo
from service.clips import Windows
from service.errors import WindowInvalidError


@dataclass(frozen=True, slots=True)
class Windowing:
    """How to cut a clip into windows.

    Attributes:
        window_s: Their length [s].
        hop_s: From the start of one to that of the next [s].
        beyond_s: A clip up to this long is not cut [s].
    """

    window_s: float
    hop_s: float
    beyond_s: float = 0.0

    def cuts(self, n_samples: int, info: EncoderInfo) -> bool:
        """Tell whether a clip of this length has windows."""
        return n_samples > self.beyond_s * info.sample_rate_hz

    def in_partials(self, info: EncoderInfo) -> tuple[int, float]:
        """Return both, the length rounded to partials and the step to halves of one.

        Raises:
            WindowInvalidError: The window or the hop is out of its range.
        """
        partial_s = info.partial_frames * info.block_samples / info.sample_rate_hz
        if not partial_s <= self.hop_s <= self.window_s < np.inf:
            raise WindowInvalidError(
                f"window_s is {self.window_s:g} and hop_s is {self.hop_s:g}; hop_s must be at "
                f"least {partial_s:g} s and at most window_s"
            )
        return round(self.window_s / partial_s), round(2 * self.hop_s / partial_s) / 2


def count_windows(n_partials: int, window: int, hop: float) -> int:
    """Count the windows of a clip, all in partials; the first that reaches its end is the last.

    Window n begins with partial floor(n * hop). The hop is a multiple of 1/2, so that all of this
    is exact.
    """
    return 1 + max(0, int(-(-(n_partials - window) // hop)))


class PooledStats:
    """A stretch of a clip that is being pooled: the sum and the maximum over its frames.

    Args:
        dim: Length of an embedding.
    """

    def __init__(self, dim: int) -> None:
        self._sums = np.zeros(dim)
        self._maxima = np.full(dim, -np.inf, np.float32)

    def add(
        self,
        sums: Float32[np.ndarray, "partials dim"],
        maxima: Float32[np.ndarray, "partials dim"],
    ) -> None:
        """Add partials to the stretch."""
        self._sums += sums.sum(axis=0, dtype=np.float64)
        np.maximum(self._maxima, maxima.max(axis=0), out=self._maxima)

    def embedding(self, n_frames: int) -> Float32[np.ndarray, " dim"]:
        """Return the embedding of the stretch, which has `n_frames` frames."""
        pooled: np.ndarray = (self._sums / n_frames + self._maxima).astype(np.float32)
        return pooled


class WindowPool:
    """The windows of a clip that are being pooled.

    What is held does not grow with the clip: a window becomes its embedding when it was heard to
    its end, and no more windows are begun than may be given.

    Args:
        info: What the encoder says of its partials.
        windowing: Length and step of the windows.
        max_windows: No clip has more.

    Raises:
        WindowInvalidError: The window or the hop is out of its range.
    """

    def __init__(self, info: EncoderInfo, windowing: Windowing, *, max_windows: int) -> None:
        self._info = info
        self._window, self._hop = windowing.in_partials(info)
        self._max_windows = max_windows
        self._open: dict[int, PooledStats] = {}  # by their first partial
        self._embeddings: list[np.ndarray] = []
        self._n_begun = 0
        self._n_partials = 0

    def add(
        self,
        sums: Float32[np.ndarray, "partials dim"],
        maxima: Float32[np.ndarray, "partials dim"],
    ) -> None:
        """Add the next partials of the clip to the windows that have a part in them."""
        first, last = self._n_partials, self._n_partials + len(sums)
        self._n_partials = last
        self._begin(last)
        all_sums, all_maxima = sums.sum(axis=0, keepdims=True), maxima.max(axis=0, keepdims=True)
        for start, pool in self._open.items():
            end = start + self._window
            if start <= first and last <= end:
                pool.add(all_sums, all_maxima)
            elif first < end:
                heard = slice(max(start - first, 0), end - first)
                pool.add(sums[heard], maxima[heard])
        # Only with a partial beyond it is every partial of a window known to have all its frames.
        self._end([start for start in self._open if start + self._window < last])

    def finish(self, whole: Float32[np.ndarray, " dim"], n_samples: int, n_frames: int) -> Windows:
        """Return the windows of the clip, which has ended.

        Args:
            whole: Its embedding.
            n_samples: Its length.
            n_frames: Its encoder frames.
        """
        n_windows = count_windows(self._n_partials, self._window, self._hop)
        last_start = self._start(n_windows - 1)
        self._end([start for start in self._open if start < last_start])
        per_partial = self._info.partial_frames
        last = self._open[last_start].embedding(n_frames - last_start * per_partial)
        # In samples first, so that seconds are rounded once.
        partial_samples = per_partial * self._info.block_samples
        starts = np.array([self._start(n) for n in range(n_windows)]) * partial_samples
        ends = starts + self._window * partial_samples
        ends[-1] = n_samples
        rate_hz = self._info.sample_rate_hz
        embeddings = np.stack([*self._embeddings, last])
        return Windows(whole, embeddings, starts / rate_hz, ends / rate_hz)

    def _begin(self, last: int) -> None:
        """Begin the windows that start before a partial."""
        while (start := self._start(self._n_begun)) < last and self._n_begun < self._max_windows:
            self._open[start] = PooledStats(self._info.dim)
            self._n_begun += 1

    def _start(self, n: int) -> int:
        return int(n * self._hop)

    def _end(self, starts: list[int]) -> None:
        for start in starts:
            n_frames = self._window * self._info.partial_frames
            self._embeddings.append(self._open.pop(start).embedding(n_frames))
