"""The texts a training reads: drawn once, embedded once, and drawn from at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.scenes.changes import Change
from training.scenes.pair import Pair
from training.towers.recipe import TextRecipe
from training.towers.text_cache import TextCache
from training.towers.vocabulary import Vocabulary
from training.words import describe_changes, describe_sound


@dataclass(frozen=True, slots=True)
class Texts:
    """Embeddings of the texts of a training; every table holds rows of ``embeddings``.

    Attributes:
        embeddings: Of the text encoder, float32 [texts hidden].
        changes: From query to target, int64 [pairs per_pair].
        back: From target to query, int64 [pairs per_pair].
        queries: Descriptions of the query clips, int64 [pairs per_clip].
        targets: Descriptions of the target clips, int64 [pairs per_clip].
        labels: Descriptions of each label alone, int64 [labels per_label].
    """

    embeddings: Float32[np.ndarray, "texts hidden"]
    changes: Int64[np.ndarray, "pairs per_pair"]
    back: Int64[np.ndarray, "pairs per_pair"]
    queries: Int64[np.ndarray, "pairs per_clip"]
    targets: Int64[np.ndarray, "pairs per_clip"]
    labels: Int64[np.ndarray, "labels per_label"]


def draw_texts(
    pairs: Sequence[Pair],
    vocabulary: Vocabulary,
    cache: TextCache,
    recipe: TextRecipe,
) -> Texts:
    """Draw texts for every pair, in both directions, every clip and every label.

    Args:
        pairs: What the texts are about.
        vocabulary: The labels.
        cache: Embeds the texts.
        recipe: How many to draw, of seen words and phrasings only.
    """
    tables: list[list[list[str]]] = [[], [], [], [], []]
    for pair in pairs:
        # Of the pair alone, so that a part of a set reads what the whole set reads.
        draw = np.random.default_rng([recipe.seed, pair.index])
        tables[0].append(_tell(pair.changes, draw, recipe.per_pair))
        tables[1].append(_tell(pair.reversed.changes, draw, recipe.per_pair))
        tables[2].append(_describe(pair.query.labels, draw, recipe.per_clip))
        tables[3].append(_describe(pair.target.labels, draw, recipe.per_clip))
    draw = np.random.default_rng(recipe.seed)
    tables[4] = [_describe([label], draw, recipe.per_label) for label in vocabulary.labels]
    told = sorted({text for table in tables for row in table for text in row})
    rows = {text: row for row, text in enumerate(told)}
    filled = (np.array([[rows[text] for text in row] for row in table]) for table in tables)
    return Texts(cache.embed(told), *filled)


def _tell(changes: Sequence[Change], draw: np.random.Generator, n: int) -> list[str]:
    return [describe_changes(changes, draw) for _ in range(n)]


def _describe(labels: Sequence[str], draw: np.random.Generator, n: int) -> list[str]:
    return [describe_sound(labels, draw) for _ in range(n)]
