"""Pools the partial sums and maxima of a clip into the embeddings of the clip and of its windows.

An embedding is the mean over time plus the maximum over time, as the manifest of the bundle states
in `encoder.pooling`. A partial is the sum and the maximum over a few frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.bundle.manifest import EncoderInfo
from service.clips import Windows
from service.errors import WindowInvalidError


@dataclass(frozen=True, slots=True)
class Windowing:
    """Length and step of the windows of a clip.

    Attributes:
        window_s: Length of a window [s].
        hop_s: Time from the start of one window to the start of the next [s].
        beyond_s: A clip up to this length has no windows [s].
        up_to_s: A longer clip has no windows [s].
    """

    window_s: float
    hop_s: float
    beyond_s: float = 0.0
    up_to_s: float = np.inf

    def cuts(self, n_samples: int, info: EncoderInfo) -> bool:
        """Tell whether a clip of this length has windows."""
        rate_hz = info.sample_rate_hz
        return self.beyond_s * rate_hz < n_samples <= self.up_to_s * rate_hz

    def in_partials(self, info: EncoderInfo) -> tuple[int, float]:
        """Return the length rounded to partials, and the hop rounded to half partials.

        Raises:
            WindowInvalidError: The window or the hop is out of range.
        """
        partial_s = info.partial_frames * info.block_samples / info.sample_rate_hz
        if not partial_s <= self.hop_s <= self.window_s < np.inf:
            raise WindowInvalidError(
                f"window_s is {self.window_s:g} and hop_s is {self.hop_s:g}; hop_s must be at "
                f"least {partial_s:g} s and at most window_s"
            )
        return round(self.window_s / partial_s), round(2 * self.hop_s / partial_s) / 2

    def count(self, n_samples: int, info: EncoderInfo) -> int:
        """Count the windows of a clip.

        Raises:
            WindowInvalidError: The window or the hop is out of range.
        """
        if not self.cuts(n_samples, info):
            return 0
        return count_windows(info.count_partials(n_samples), *self.in_partials(info))


def count_windows(n_partials: int, window: int, hop: float) -> int:
    """Count the windows of a clip, given in partials; the last one is the first to reach its end.

    Window n starts at partial floor(n * hop). The hop is a multiple of 1/2, so the result is exact.
    """
    return 1 + max(0, int(-(-(n_partials - window) // hop)))


class PooledStats:
    """Sum and maximum over the frames of a clip or a window, updated with each partial.

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
        """Add the next partials."""
        self._sums += sums.sum(axis=0, dtype=np.float64)
        np.maximum(self._maxima, maxima.max(axis=0), out=self._maxima)

    def embedding(self, n_frames: int) -> Float32[np.ndarray, " dim"]:
        """Return the embedding of the `n_frames` frames that were added."""
        pooled: np.ndarray = (self._sums / n_frames + self._maxima).astype(np.float32)
        return pooled


class WindowPool:
    """Pools the windows of a clip from its partials.

    Memory does not grow with the clip: a window becomes an embedding when its last partial was
    added, and at most `max_windows` windows are started.

    Args:
        info: Geometry of the encoder.
        windowing: Length and step of the windows.
        max_windows: Most windows of the clip; the caller refuses a clip that has more.

    Raises:
        WindowInvalidError: The window or the hop is out of range.
    """

    def __init__(self, info: EncoderInfo, windowing: Windowing, *, max_windows: int) -> None:
        self._info = info
        self._window, self._hop = windowing.in_partials(info)
        self._max_windows = max_windows
        self._open: dict[int, PooledStats] = {}  # by first partial
        self._embeddings: list[np.ndarray] = []
        self._n_started = 0
        self._n_partials = 0

    def add(
        self,
        sums: Float32[np.ndarray, "partials dim"],
        maxima: Float32[np.ndarray, "partials dim"],
    ) -> None:
        """Add the next partials of the clip to the windows that contain them."""
        first, last = self._n_partials, self._n_partials + len(sums)
        self._n_partials = last
        self._start_windows(last)
        all_sums, all_maxima = sums.sum(axis=0, keepdims=True), maxima.max(axis=0, keepdims=True)
        for start, stats in self._open.items():
            end = start + self._window
            if start <= first and last <= end:
                stats.add(all_sums, all_maxima)
            elif first < end:
                inside = slice(max(start - first, 0), end - first)
                stats.add(sums[inside], maxima[inside])
        # All partials of a window have all their frames only if a partial follows the window.
        self._close([start for start in self._open if start + self._window < last])

    def finish(self, whole: Float32[np.ndarray, " dim"], n_samples: int, n_frames: int) -> Windows:
        """Return the windows of the clip; all partials were added.

        Args:
            whole: Embedding of the clip.
            n_samples: Length of the clip.
            n_frames: Encoder frames of the clip.
        """
        n_windows = count_windows(self._n_partials, self._window, self._hop)
        last_start = self._first_partial(n_windows - 1)
        self._close([start for start in self._open if start < last_start])
        per_partial = self._info.partial_frames
        last = self._open[last_start].embedding(n_frames - last_start * per_partial)
        # Seconds are computed from samples, so that they are rounded only once.
        partial_samples = per_partial * self._info.block_samples
        starts = np.array([self._first_partial(n) for n in range(n_windows)]) * partial_samples
        ends = starts + self._window * partial_samples
        ends[-1] = n_samples
        rate_hz = self._info.sample_rate_hz
        embeddings = np.stack([*self._embeddings, last])
        return Windows(whole, embeddings, starts / rate_hz, ends / rate_hz)

    def _start_windows(self, before: int) -> None:
        """Start the windows whose first partial is before `before`."""
        while self._n_started < self._max_windows:
            start = self._first_partial(self._n_started)
            if start >= before:
                return
            self._open[start] = PooledStats(self._info.dim)
            self._n_started += 1

    def _first_partial(self, window: int) -> int:
        return int(window * self._hop)

    def _close(self, starts: list[int]) -> None:
        """Compute the embeddings of complete windows."""
        for start in starts:
            n_frames = self._window * self._info.partial_frames
            self._embeddings.append(self._open.pop(start).embedding(n_frames))
