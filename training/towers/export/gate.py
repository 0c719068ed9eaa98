"""The gates of an export: graphs against the torch model, and fewer bits against float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float32

from service.inference.towers import AudioTower
from training.errors import ExportParityError
from training.scenes.load import SceneSet
from training.towers.bank import TextVectors
from training.towers.evaluation.evaluate import ask
from training.towers.evaluation.ranks import KS, rank_of_own, recalls, unit
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.towers.vectors import TowerVectors

TOLERANCE = 1e-4  # of the largest value of a vector
LOWEST_COSINE = 0.999
LARGEST_LOSS = 0.005  # of recall
PAIRS = 1_000

Recalls = dict[str, float]


@dataclass(frozen=True, slots=True)
class Gate:
    """Pairs that a stored text encoder is compared with the float32 torch model on.

    Attributes:
        texts: One a pair.
        expected: Their vectors as torch gives them, float32 [pairs dim].
        audio: Vectors of the queries, float32 [pairs dim].
        items: Unit vectors of the targets, float32 [pairs dim].
    """

    texts: list[str]
    expected: Float32[np.ndarray, "pairs dim"]
    audio: Float32[np.ndarray, "pairs dim"]
    items: Float32[np.ndarray, "pairs dim"]

    @classmethod
    def of(cls, scenes: SceneSet, loaded: LoadedTowers, cache: TextCache) -> Self:
        """Take the first 1,000 pairs of scenes that the towers were not trained on."""
        vectors = TowerVectors(loaded.towers, cache)
        texts = ask(scenes.pairs[:PAIRS])
        return cls(
            texts=texts,
            expected=vectors.text(texts),
            audio=vectors.audio(scenes.query[:PAIRS]),
            items=unit(vectors.audio(scenes.target[:PAIRS])),
        )

    def measure(self, encode: TextVectors) -> dict[str, float]:
        """Compare a text encoder with the torch model.

        Returns:
            ``cosine``: the lowest one of any query, with audio or of text alone;
            ``recall_loss``: the most that recall at 1, 5 or 10 moves, either way.
        """
        found = encode(self.texts)
        pairs = ((self.audio + found, self.audio + self.expected), (found, self.expected))
        cosine = min(float((unit(a) * unit(b)).sum(axis=1).min()) for a, b in pairs)
        before, after = (self._recalls(text) for text in (self.expected, found))
        return {
            "cosine": cosine,
            "recall_loss": max(abs(before[f"r_at_{k}"] - after[f"r_at_{k}"]) for k in KS),
        }

    def passes(self, measured: dict[str, float]) -> bool:
        """Tell whether a text encoder is near enough to float32."""
        return measured["cosine"] >= LOWEST_COSINE and measured["recall_loss"] <= LARGEST_LOSS

    def check_text(self, encode: TextVectors) -> float:
        """Hold the exported text encoder in float32 to the torch model; say how far it is off.

        Raises:
            ExportParityError: Further than 1e-4 of the largest value of a vector.
        """
        return _hold(encode(self.texts), self.expected, "text encoder")

    def _recalls(self, text: Float32[np.ndarray, "pairs dim"]) -> Recalls:
        return recalls(rank_of_own(unit(self.audio + text), self.items))


def check_audio(
    expected: Callable[[np.ndarray], np.ndarray],
    tower: AudioTower,
    embeddings: Float32[np.ndarray, "clips inputs"],
) -> float:
    """Hold the exported audio tower to the torch model; say how far it is off.

    Raises:
        ExportParityError: Further than 1e-4 of the largest value of a vector.
    """
    return _hold(tower.vectors(embeddings), expected(embeddings), "audio tower")


def _hold(
    found: Float32[np.ndarray, "rows dim"], expected: Float32[np.ndarray, "rows dim"], name: str
) -> float:
    worst = float((np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)).max())
    if not worst <= TOLERANCE:
        raise ExportParityError(
            f"the exported {name} deviates from the model by {worst:.2g} of the largest value of a "
            f"vector; {TOLERANCE:g} is allowed"
        )
    return worst
