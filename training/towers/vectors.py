"""What towers make of embeddings and texts, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32

from training.towers.networks import Towers
from training.towers.text_cache import TextCache

ROWS = 2048  # that go through a tower at once


class TowerVectors:
    """Towers as functions from arrays to arrays.

    Args:
        towers: In evaluation mode.
        cache: Embeds texts.
    """

    def __init__(self, towers: Towers, cache: TextCache) -> None:
        self._towers = towers
        self._cache = cache

    @torch.inference_mode()
    def audio(
        self, embeddings: Float[np.ndarray, "clips inputs"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Map raw embeddings of sounds, or of what remains of them."""
        parts = [
            self._towers.audio(torch.from_numpy(np.asarray(embeddings[i : i + ROWS], np.float32)))
            for i in range(0, len(embeddings), ROWS)
        ]
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def text(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Map texts."""
        vectors: np.ndarray = self._towers.text(torch.from_numpy(self._cache.embed(texts))).numpy()
        return vectors
