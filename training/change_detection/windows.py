"""Embeddings of excerpts with those of their windows, as the service computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.clips import Windows
from service.inference.encoder import Encoder
from service.inference.pooling import PooledStats, Windowing, WindowPool
from service.retrieval.change_features import HOP_S, WINDOW_S
from service.retrieval.embedded import EmbeddedInput
from training.errors import DatasetError
from training.evaluation.encoders import BundleEmbedder, Embedder

WINDOWING = Windowing(WINDOW_S, HOP_S)
MOST_WINDOWS = 1000


@dataclass(frozen=True, slots=True)
class WindowedEmbedder:
    """Embeds clips of equal length and their windows.

    Attributes:
        encoder: The encoder of a bundle.
    """

    encoder: Encoder

    @property
    def identity(self) -> str:
        """The fingerprint of the encoder, with the length and the step of the windows."""
        return f"{self.encoder.fingerprint} {WINDOW_S:g} {HOP_S:g}"

    def count(self, n_samples: int) -> int:
        """Count the windows of a clip."""
        return WINDOWING.count(n_samples, self.encoder.info)

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips values"]:
        """Return for each clip its embedding and those of its windows, in one row."""
        windows = [self.cut(clip) for clip in clips]
        return np.stack([np.stack([each.whole, *each.embeddings]).ravel() for each in windows])

    def input(self, clip: Float32[np.ndarray, " samples"]) -> EmbeddedInput:
        """Embed a sound as the service embeds a file of a request."""
        windows = self.cut(clip)
        return EmbeddedInput(windows.whole, float(np.mean(np.square(clip))), windows)

    def cut(self, clip: Float32[np.ndarray, " samples"]) -> Windows:
        """Embed a clip and its windows."""
        info = self.encoder.info
        ((sums, maxima),) = self.encoder.run([clip], "partials")
        stats = PooledStats(info.dim)
        stats.add(sums, maxima)
        n_frames = info.count_frames(clip.size)
        whole = stats.embedding(n_frames)
        pool = WindowPool(info, WINDOWING, max_windows=MOST_WINDOWS)
        pool.add(sums, maxima)
        return pool.finish(whole, clip.size, n_frames)


def windowed(embedder: Embedder) -> WindowedEmbedder:
    """Return an encoder that embeds windows as well.

    Raises:
        DatasetError: It is not the encoder of a bundle.
    """
    if not isinstance(embedder, BundleEmbedder):
        raise DatasetError("windows are embedded by the encoder of a bundle alone")
    return WindowedEmbedder(embedder.encoder)
