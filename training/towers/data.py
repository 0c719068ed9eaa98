"""What the towers are trained on: cached embeddings of pairs, and what is known of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from service.bundle import Bundle
from training.scenes.load import SceneSet
from training.towers.networks import Tower
from training.towers.texts import Texts
from training.towers.vocabulary import Vocabulary, appearing

NOTHING = -1
SOUNDS = ("query", "target", "events", "mean")


@dataclass(frozen=True, slots=True)
class TowerData:
    """Pairs as tensors. In the tables of two columns the second is of the pair turned round.

    Sounds are raw embeddings, or what a tower sees of them (`seen_by`), which is all that its
    training needs.

    Attributes:
        query: Sounds, float32 [pairs inputs].
        target: Sounds, float32 [pairs inputs].
        heard_query: Labels heard, float32 [pairs labels].
        heard_target: Labels heard, float32 [pairs labels].
        beds: Of each pair, int64 [pairs].
        appears: The one label that is in the target only, or -1; int64 [pairs 2].
        event: The clean event behind it, a row of ``events``, or -1; int64 [pairs 2].
        events: Clean events, float32 [events inputs].
        event_labels: Label of each, int64 [events].
        mean: The bundle's mean embedding, float32 [inputs].
        reference_weight: How much of a reference is taken away.
        texts: What is read.
    """

    query: Float32[Tensor, "pairs inputs"]
    target: Float32[Tensor, "pairs inputs"]
    heard_query: Float32[Tensor, "pairs labels"]
    heard_target: Float32[Tensor, "pairs labels"]
    beds: Int64[np.ndarray, " pairs"]
    appears: Int64[Tensor, "pairs 2"]
    event: Int64[Tensor, "pairs 2"]
    events: Float32[Tensor, "events inputs"]
    event_labels: Int64[Tensor, " events"]
    mean: Float32[Tensor, " inputs"]
    reference_weight: float
    texts: Texts

    @torch.no_grad()
    def seen_by(self, tower: Tower) -> Self:
        """Give what a tower sees of the sounds.

        Seeing is affine, so a difference can be taken before or after it.
        """
        sounds = {name: tower.see(getattr(self, name)) for name in SOUNDS}
        return dataclasses.replace(self, **sounds)


def gather(scenes: SceneSet, vocabulary: Vocabulary, texts: Texts, bundle: Bundle) -> TowerData:
    """Turn scenes and their texts into tensors.

    Args:
        scenes: Embedded by the bundle's encoder.
        vocabulary: The labels.
        texts: Drawn for these scenes.
        bundle: Says how differences are taken.
    """
    column = {label: i for i, label in enumerate(vocabulary.labels)}
    appears = torch.full((len(scenes.pairs), 2), NOTHING)
    event = torch.full((len(scenes.pairs), 2), NOTHING)
    for row, pair in enumerate(scenes.pairs):
        for way, each in enumerate((pair, pair.reversed)):
            label = appearing(each)
            if label is not None:
                appears[row, way] = column[label]
                source = pair.sources.get(label)
                event[row, way] = NOTHING if source is None else source.row
    return TowerData(
        query=_float32(scenes.query),
        target=_float32(scenes.target),
        heard_query=torch.from_numpy(vocabulary.heard([p.query.labels for p in scenes.pairs])),
        heard_target=torch.from_numpy(vocabulary.heard([p.target.labels for p in scenes.pairs])),
        beds=np.array([pair.bed for pair in scenes.pairs]),
        appears=appears,
        event=event,
        events=_float32(scenes.events),
        event_labels=torch.tensor([column[row.label] for row in scenes.event_rows]),
        mean=torch.from_numpy(bundle.mean),
        reference_weight=bundle.manifest.difference.reference_weight,
        texts=texts,
    )


def _float32(embeddings: np.ndarray) -> Float32[Tensor, "clips inputs"]:
    return torch.from_numpy(np.asarray(embeddings, np.float32))
