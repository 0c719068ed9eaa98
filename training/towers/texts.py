"""The texts of a training: drawn and embedded once; every step draws from them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.scenes.changes import Change
from training.scenes.pair import Clip
from training.towers.recipe import TextRecipe
from training.towers.text_cache import TextCache
from training.towers.training_pairs import TrainingPair
from training.towers.vocabulary import Vocabulary
from training.words.grammar import describe_changes, describe_sound

TextTable = list[list[str]]


@dataclass(frozen=True, slots=True)
class TrainingTexts:
    """Embeddings of the texts of a training; every table holds rows of ``embeddings``.

    Attributes:
        embeddings: Output of the text encoder, float32 [texts hidden].
        changes: Requests for the changes from query to target, int64 [pairs per_change].
        reversed_changes: Requests for those from target to query, int64 [pairs per_change].
        clips: Descriptions of the clips, int64 [clips per_clip].
        labels: Descriptions of each label alone, int64 [labels per_label].
    """

    embeddings: Float32[np.ndarray, "texts hidden"]
    changes: Int64[np.ndarray, "pairs per_change"]
    reversed_changes: Int64[np.ndarray, "pairs per_change"]
    clips: Int64[np.ndarray, "clips per_clip"]
    labels: Int64[np.ndarray, "labels per_label"]


def draw_texts(
    pairs: Sequence[TrainingPair],
    clips: Sequence[Clip],
    vocabulary: Vocabulary,
    cache: TextCache,
    recipe: TextRecipe,
) -> TrainingTexts:
    """Draw texts for the changes of every pair, for every clip and for every label.

    Texts depend on the changes or labels only. Pairs with the same change share their texts, and
    so do two sets of scenes; so few texts have to be encoded.

    Args:
        pairs: The pairs.
        clips: The clips in the order of their rows.
        vocabulary: The labels.
        cache: Embeds the texts.
        recipe: Numbers of texts; only seen words and phrasings are drawn.
    """
    tables: list[TextTable] = [
        [_requests(pair.changes, recipe) for pair in pairs],
        [_requests(pair.reversed.changes, recipe) for pair in pairs],
        [_descriptions(clip.labels, recipe.per_clip, recipe.seed) for clip in clips],
        [_descriptions([label], recipe.per_label, recipe.seed) for label in vocabulary.labels],
    ]
    texts = sorted({text for table in tables for row in table for text in row})
    rows = {text: row for row, text in enumerate(texts)}
    filled = (np.array([[rows[text] for text in row] for row in table]) for table in tables)
    return TrainingTexts(cache.embed(texts), *filled)


def _requests(changes: Sequence[Change], recipe: TextRecipe) -> list[str]:
    """Draw as many requests as the recipe says, repeated to the same number for all changes."""
    n = recipe.per_change if len(changes) == 1 else recipe.per_two_changes
    rng = _rng([f"{change.kind} {change.label}" for change in changes], recipe.seed)
    texts = [describe_changes(changes, rng) for _ in range(n)]
    n_columns = max(recipe.per_change, recipe.per_two_changes)
    return [texts[i % n] for i in range(n_columns)]


def _descriptions(labels: Sequence[str], n: int, seed: int) -> list[str]:
    rng = _rng(labels, seed)
    return [describe_sound(labels, rng) for _ in range(n)]


def _rng(subject: Sequence[str], seed: int) -> np.random.Generator:
    """Make the generator of all texts about some changes or labels."""
    return np.random.default_rng([seed, zlib.crc32("; ".join(subject).encode())])
