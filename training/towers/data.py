"""The data that towers are trained on: cached embeddings of clips, their labels and texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from service.bundle.files import Bundle
from training.scenes.load import SceneSet
from training.towers.across_recordings import list_pairs_across_recordings
from training.towers.networks import TowerNetwork
from training.towers.recipe import TowersRecipe
from training.towers.recordings import ClipRecordings
from training.towers.references import NONE, list_references
from training.towers.relevance import ClipContents
from training.towers.text_cache import TextCache
from training.towers.texts import TrainingTexts, draw_texts
from training.towers.training_pairs import TrainingPair, clip_at, list_training_pairs
from training.towers.vocabulary import Vocabulary, added_label

EMBEDDINGS = ("clips", "events", "mean")


@dataclass(frozen=True, slots=True)
class TowerData:
    """Clips and the pairs of them, as tensors.

    Embeddings are raw, or normalised by the audio tower (`normalised_by`), which is sufficient for
    its training. In the tables of two columns the second is of the reversed pair.

    Attributes:
        clips: Embeddings, float32 [clips inputs].
        clip_labels: Labels of each clip as zeros and ones, float32 [clips labels].
        pair_clips: Rows of query and target, int64 [pairs 2].
        background_ids: Numbers of the backgrounds of query and target, int64 [pairs 2].
        added_labels: The one label that only the target has, or -1; int64 [pairs 2].
        added_events: Its clean event, a row of ``events``, or -1; int64 [pairs 2].
        references: Clips over other recordings that may be subtracted from the target, or -1;
            int64 [pairs 2 candidates].
        contents: What the clips consist of and the pairs change, to grade their relevance.
        events: Embeddings of clean events, float32 [events inputs].
        event_labels: Label of each, int64 [events].
        mean: Mean embedding of the bundle, float32 [inputs].
        reference_weight: Share of a reference that is subtracted, 0 to 1.
        texts: The texts.
    """

    clips: Float32[Tensor, "clips inputs"]
    clip_labels: Float32[Tensor, "clips labels"]
    pair_clips: Int64[Tensor, "pairs 2"]
    background_ids: Int64[np.ndarray, "pairs 2"]
    added_labels: Int64[Tensor, "pairs 2"]
    added_events: Int64[Tensor, "pairs 2"]
    references: Int64[np.ndarray, "pairs 2 candidates"]
    contents: ClipContents
    events: Float32[Tensor, "events inputs"]
    event_labels: Int64[Tensor, " events"]
    mean: Float32[Tensor, " inputs"]
    reference_weight: float
    texts: TrainingTexts

    @torch.no_grad()
    def normalised_by(self, tower: TowerNetwork) -> Self:
        """Normalise all embeddings by a tower."""
        normalised: dict[str, Any] = {
            name: tower.normalise(getattr(self, name)) for name in EMBEDDINGS
        }
        return dataclasses.replace(self, **normalised)


def build_tower_data(
    scenes: SceneSet, vocabulary: Vocabulary, cache: TextCache, recipe: TowersRecipe, bundle: Bundle
) -> TowerData:
    """List the pairs of scenes, draw their texts, and turn all into tensors.

    Args:
        scenes: Scenes embedded by the bundle's encoder.
        vocabulary: The labels.
        cache: Embeds the texts.
        recipe: Selects the pairs and the number of texts.
        bundle: Defines how differences are taken.
    """
    recordings, seed = ClipRecordings.of(scenes), recipe.text.seed
    pairs = list_training_pairs(scenes, recipe.pairs.crossed, seed)
    per_pair = recipe.pairs.other_recordings
    pairs += list_pairs_across_recordings(scenes, recordings, per_pair, seed)
    clips = [clip_at(scenes, row) for row in range(2 * len(scenes.pairs))]
    column = {label: i for i, label in enumerate(vocabulary.labels)}
    added_labels, added_events = _list_added(pairs, column)
    embeddings = np.stack([scenes.query, scenes.target], axis=1).reshape(len(clips), -1)
    return TowerData(
        clips=_float32(embeddings),
        clip_labels=torch.from_numpy(vocabulary.encode([clip.labels for clip in clips])),
        pair_clips=torch.tensor([[pair.query, pair.target] for pair in pairs]),
        background_ids=np.array([pair.background_ids for pair in pairs]),
        added_labels=added_labels,
        added_events=added_events,
        references=list_references(scenes, recordings, pairs, seed),
        contents=ClipContents.of(scenes, recordings, pairs, vocabulary.labels),
        events=_float32(scenes.events),
        event_labels=torch.tensor([column[row.label] for row in scenes.event_rows]),
        mean=torch.from_numpy(bundle.mean),
        reference_weight=bundle.manifest.difference.reference_weight,
        texts=draw_texts(pairs, clips, vocabulary, cache, recipe.text),
    )


def _list_added(
    pairs: Sequence[TrainingPair], column: Mapping[str, int]
) -> tuple[Int64[Tensor, "pairs 2"], Int64[Tensor, "pairs 2"]]:
    """List the label that each target adds, and its clean event, in both directions."""
    labels, events = torch.full((len(pairs), 2), NONE), torch.full((len(pairs), 2), NONE)
    for row, pair in enumerate(pairs):
        for direction, directed in enumerate((pair, pair.reversed)):
            label = added_label(directed.changes)
            if label is not None:
                labels[row, direction] = column[label]
                source = pair.sources.get(label)
                events[row, direction] = NONE if source is None else source.row
    return labels, events


def _float32(embeddings: np.ndarray) -> Float32[Tensor, "clips inputs"]:
    return torch.from_numpy(np.asarray(embeddings, np.float32))
