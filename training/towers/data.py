"""What the towers are trained on: cached embeddings of clips, and what is known of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from service.bundle.files import Bundle
from training.scenes.load import SceneSet
from training.towers.links import clip_of, list_links
from training.towers.networks import Tower
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache
from training.towers.texts import Texts, draw_texts
from training.towers.vocabulary import Vocabulary, appearing

NOTHING = -1
SOUNDS = ("clips", "events", "mean")


@dataclass(frozen=True, slots=True)
class TowerData:
    """Clips and the links between them, as tensors.

    Sounds are raw embeddings, or what a tower sees of them (`seen_by`), which is all that its
    training needs. In the tables of two columns the second is of the link turned round.

    Attributes:
        clips: Sounds, float32 [clips inputs].
        heard: Labels heard in each clip, float32 [clips labels].
        ends: Rows of query and target, int64 [links 2].
        beds: Of each link, int64 [links].
        appears: The one label that is in the target only, or -1; int64 [links 2].
        event: The clean event behind it, a row of ``events``, or -1; int64 [links 2].
        events: Clean events, float32 [events inputs].
        event_labels: Label of each, int64 [events].
        mean: The bundle's mean embedding, float32 [inputs].
        reference_weight: How much of a reference is taken away.
        texts: What is read.
    """

    clips: Float32[Tensor, "clips inputs"]
    heard: Float32[Tensor, "clips labels"]
    ends: Int64[Tensor, "links 2"]
    beds: Int64[np.ndarray, " links"]
    appears: Int64[Tensor, "links 2"]
    event: Int64[Tensor, "links 2"]
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
        sounds: dict[str, Any] = {name: tower.see(getattr(self, name)) for name in SOUNDS}
        return dataclasses.replace(self, **sounds)


def gather(
    scenes: SceneSet, vocabulary: Vocabulary, cache: TextCache, recipe: TowersRecipe, bundle: Bundle
) -> TowerData:
    """Link the clips of scenes, draw their texts, and turn all into tensors.

    Args:
        scenes: Embedded by the bundle's encoder.
        vocabulary: The labels.
        cache: Embeds the texts.
        recipe: Which links and how many texts.
        bundle: Says how differences are taken.
    """
    links = list_links(scenes, recipe.pairs.crossed, recipe.text.seed)
    clips = [clip_of(scenes, row) for row in range(2 * len(scenes.pairs))]
    column = {label: i for i, label in enumerate(vocabulary.labels)}
    appears = torch.full((len(links), 2), NOTHING)
    event = torch.full((len(links), 2), NOTHING)
    for row, link in enumerate(links):
        for way, each in enumerate((link, link.reversed)):
            label = appearing(each.changes)
            if label is not None:
                appears[row, way] = column[label]
                source = link.sources.get(label)
                event[row, way] = NOTHING if source is None else source.row
    sounds = np.stack([scenes.query, scenes.target], axis=1).reshape(len(clips), -1)
    return TowerData(
        clips=_float32(sounds),
        heard=torch.from_numpy(vocabulary.heard([clip.labels for clip in clips])),
        ends=torch.tensor([[link.query, link.target] for link in links]),
        beds=np.array([link.bed for link in links]),
        appears=appears,
        event=event,
        events=_float32(scenes.events),
        event_labels=torch.tensor([column[row.label] for row in scenes.event_rows]),
        mean=torch.from_numpy(bundle.mean),
        reference_weight=bundle.manifest.difference.reference_weight,
        texts=draw_texts(links, clips, vocabulary, cache, recipe.text),
    )


def _float32(embeddings: np.ndarray) -> Float32[Tensor, "clips inputs"]:
    return torch.from_numpy(np.asarray(embeddings, np.float32))
