"""Towers as functions from arrays to arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32

from training.towers.networks import TowerNetworks
from training.towers.text_cache import TextCache

BATCH_ROWS = 2048


class TowerProjector:
    """Projects raw embeddings and texts into the common space.

    Args:
        networks: In evaluation mode.
        cache: Embeds texts.
    """

    def __init__(self, networks: TowerNetworks, cache: TextCache) -> None:
        self._networks = networks
        self._cache = cache

    @torch.inference_mode()
    def project_audio(
        self, embeddings: Float[np.ndarray, "clips inputs"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Project raw embeddings of clips, or remainders of them."""
        batches = (
            torch.from_numpy(np.asarray(embeddings[first : first + BATCH_ROWS], np.float32))
            for first in range(0, len(embeddings), BATCH_ROWS)
        )
        return torch.cat([self._networks.audio(batch) for batch in batches]).numpy()

    @torch.inference_mode()
    def project_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Project texts."""
        embeddings = torch.from_numpy(self._cache.embed(texts))
        vectors: np.ndarray = self._networks.text(embeddings).numpy()
        return vectors
