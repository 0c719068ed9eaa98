"""Towers as functions from arrays to arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32

from service.difference import remainder
from training.towers.networks import DifferenceModel, TowerNetworks
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
    def project_differences(
        self,
        mixtures: Float[np.ndarray, "pairs inputs"],
        references: Float[np.ndarray, "pairs inputs"],
        mean: Float32[np.ndarray, " inputs"],
        weight: float,
    ) -> Float32[np.ndarray, "pairs dim"]:
        """Project mixtures without references, as the service does.

        Args:
            mixtures: Raw embeddings.
            references: Raw embeddings.
            mean: Mean embedding of the bundle.
            weight: Weight of the references, the bundle's.
        """
        mixture, reference = (np.asarray(x, np.float32) for x in (mixtures, references))
        if self._networks.difference is None:
            return self.project_audio(remainder(mixture, reference, mean, weight))
        model = DifferenceModel(self._networks, torch.from_numpy(mean), weight).eval()
        inputs = torch.from_numpy(mixture), torch.from_numpy(reference)
        vectors: np.ndarray = model(*inputs, torch.full((len(mixture), 1), weight)).numpy()
        return vectors

    @torch.inference_mode()
    def project_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Project texts."""
        embeddings = torch.from_numpy(self._cache.embed(texts))
        vectors: np.ndarray = self._networks.text(embeddings).numpy()
        return vectors
