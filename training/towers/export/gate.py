"""Gates of an export: graphs against the torch model, and fewer bits against float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float32

from service.difference import l2_normalize
from service.inference.towers import AudioTower
from training.errors import ExportParityError
from training.scenes.load import SceneSet
from training.towers.bank import EmbedTexts
from training.towers.evaluation.evaluate import draw_requests
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import KS, rank_targets, recalls
from training.towers.networks import DifferenceModel
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache

TOLERANCE = 1e-4  # of the largest value of a vector
LOWEST_COSINE = 0.999
LARGEST_LOSS = 0.005  # of recall
N_PAIRS = 1_000


@dataclass(frozen=True, slots=True)
class TextEncoderGate:
    """Pairs on which an exported text encoder is compared with the float32 torch model.

    Attributes:
        texts: A request for the changes of each pair.
        expected: Their vectors by the torch model, float32 [pairs dim].
        audio: Vectors of the queries, float32 [pairs dim].
        items: Unit vectors of the targets, float32 [pairs dim].
    """

    texts: list[str]
    expected: Float32[np.ndarray, "pairs dim"]
    audio: Float32[np.ndarray, "pairs dim"]
    items: Float32[np.ndarray, "pairs dim"]

    @classmethod
    def of(cls, scenes: SceneSet, loaded: LoadedTowers, cache: TextCache) -> Self:
        """Use the first 1,000 pairs of scenes that the towers were not trained on."""
        projector = TowerProjector(loaded.networks, cache)
        texts = draw_requests(scenes.pairs[:N_PAIRS])
        return cls(
            texts=texts,
            expected=projector.project_texts(texts),
            audio=projector.project_audio(scenes.query[:N_PAIRS]),
            items=l2_normalize(projector.project_audio(scenes.target[:N_PAIRS])),
        )

    def measure(self, embed: EmbedTexts) -> dict[str, float]:
        """Compare a text encoder with the torch model.

        Returns:
            ``cosine``: the lowest one of any query, with audio or of text alone;
            ``recall_loss``: the largest change of recall at 1, 5 or 10, in either direction.
        """
        found = embed(self.texts)
        pairs = ((self.audio + found, self.audio + self.expected), (found, self.expected))
        cosine = min(float((l2_normalize(a) * l2_normalize(b)).sum(axis=1).min()) for a, b in pairs)
        before, after = (self._recalls(text) for text in (self.expected, found))
        return {
            "cosine": cosine,
            "recall_loss": max(abs(before[f"r_at_{k}"] - after[f"r_at_{k}"]) for k in KS),
        }

    def passes(self, measured: dict[str, float]) -> bool:
        """Tell whether a text encoder is close enough to float32."""
        return measured["cosine"] >= LOWEST_COSINE and measured["recall_loss"] <= LARGEST_LOSS

    def check_float32(self, embed: EmbedTexts) -> float:
        """Compare the exported float32 text encoder with the torch model; return the deviation.

        Raises:
            ExportParityError: It is above 1e-4 of the largest value of a vector.
        """
        return _check(embed(self.texts), self.expected, "text encoder")

    def _recalls(self, text: Float32[np.ndarray, "pairs dim"]) -> dict[str, float]:
        return recalls(rank_targets(l2_normalize(self.audio + text), self.items))


def check_audio_tower(
    expected: Callable[[np.ndarray], np.ndarray],
    tower: AudioTower,
    embeddings: Float32[np.ndarray, "clips inputs"],
) -> float:
    """Compare the exported audio tower with the torch model; return the largest deviation.

    Raises:
        ExportParityError: It is above 1e-4 of the largest value of a vector.
    """
    return _check(tower.vectors(embeddings), expected(embeddings), "audio tower")


def check_difference(
    model: DifferenceModel,
    tower: AudioTower,
    mixtures: Float32[np.ndarray, "pairs inputs"],
    references: Float32[np.ndarray, "pairs inputs"],
) -> float:
    """Compare an exported difference with the torch model; return the largest deviation.

    Raises:
        ExportParityError: It is above 1e-4 of the largest value of a vector.
    """
    weight = model.default_weight
    found = np.stack(
        [tower.difference(m, r, weight) for m, r in zip(mixtures, references, strict=True)]
    )
    inputs = [torch.from_numpy(mixtures), torch.from_numpy(references)]
    with torch.inference_mode():
        expected = model(*inputs, torch.full((len(mixtures), 1), weight)).numpy()
    return _check(found, expected, "difference")


def _check(
    found: Float32[np.ndarray, "rows dim"], expected: Float32[np.ndarray, "rows dim"], name: str
) -> float:
    worst = float((np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)).max())
    if not worst <= TOLERANCE:
        raise ExportParityError(
            f"the exported {name} deviates from the model by {worst:.2g} of the largest value of a "
            f"vector; {TOLERANCE:g} is allowed"
        )
    return worst
