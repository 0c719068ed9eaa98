"""Events that were added to the clips of a set, and the phrases that name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.difference import l2_normalize
from training.scenes.load import SceneSet
from training.towers.bank import Phrase
from training.towers.evaluation.phrases import rank_labels, share_among_first
from training.towers.evaluation.projector import TowerProjector


@dataclass(frozen=True, slots=True)
class AddedEvents:
    """Mixtures to which one event was added, and their references.

    Attributes:
        mixtures: Raw embeddings, float32 [mixtures inputs].
        references: Raw embeddings, float32 [mixtures inputs].
        labels: Label of each event.
    """

    mixtures: Float32[np.ndarray, "mixtures inputs"]
    references: Float32[np.ndarray, "mixtures inputs"]
    labels: list[str]

    @classmethod
    def of(cls, scenes: SceneSet, *, only_other: bool = False) -> Self:
        """Find the pairs that add one event, in either direction.

        Args:
            scenes: The set.
            only_other: Use only pairs whose clips are over other recordings.
        """
        query, target = (np.asarray(x, np.float32) for x in (scenes.query, scenes.target))
        mixtures, references, labels = [], [], []
        for row, pair in enumerate(scenes.pairs):
            if only_other and pair.target_backgrounds is None:
                continue
            for directed, mixed, less in ((pair, target, query), (pair.reversed, query, target)):
                if [change.kind for change in directed.changes] == ["add"]:
                    mixtures.append(mixed[row])
                    references.append(less[row])
                    labels.append(directed.changes[0].label)
        return cls(np.stack(mixtures), np.stack(references), labels)

    def measure(
        self, projector: TowerProjector, bank: list[Phrase], bundle: Bundle
    ) -> dict[str, Any]:
        """Measure how often the right phrase is the first, and among the first five."""
        weight = bundle.manifest.difference.reference_weight
        vectors = projector.project_differences(self.mixtures, self.references, bundle.mean, weight)
        ranks = rank_labels(l2_normalize(vectors), bank, self.labels)
        return {"mixtures": len(self.labels)} | share_among_first(ranks)
