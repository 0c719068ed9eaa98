"""The texts a training reads: drawn once, embedded once, and drawn from at every step."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.scenes.changes import Change
from training.scenes.pair import Clip
from training.towers.links import Link
from training.towers.recipe import TextRecipe
from training.towers.text_cache import TextCache
from training.towers.vocabulary import Vocabulary
from training.words import describe_changes, describe_sound

Told = list[list[str]]


@dataclass(frozen=True, slots=True)
class Texts:
    """Embeddings of the texts of a training; every table holds rows of ``embeddings``.

    Attributes:
        embeddings: Of the text encoder, float32 [texts hidden].
        changes: From query to target, int64 [links per_change].
        back: From target to query, int64 [links per_change].
        clips: Descriptions of the clips, int64 [clips per_clip].
        labels: Descriptions of each label alone, int64 [labels per_label].
    """

    embeddings: Float32[np.ndarray, "texts hidden"]
    changes: Int64[np.ndarray, "links per_change"]
    back: Int64[np.ndarray, "links per_change"]
    clips: Int64[np.ndarray, "clips per_clip"]
    labels: Int64[np.ndarray, "labels per_label"]


def draw_texts(
    links: Sequence[Link],
    clips: Sequence[Clip],
    vocabulary: Vocabulary,
    cache: TextCache,
    recipe: TextRecipe,
) -> Texts:
    """Draw texts for what changes along every link, for every clip and every label.

    What is told depends on what it is about alone: links with the same change share their texts,
    and so do two sets of scenes, so that few texts have to be encoded.

    Args:
        links: Between the clips.
        clips: In the order of their rows.
        vocabulary: The labels.
        cache: Embeds the texts.
        recipe: How many to draw, of seen words and phrasings only.
    """
    tables: list[Told] = [
        [_tell(link.changes, recipe) for link in links],
        [_tell(link.reversed.changes, recipe) for link in links],
        [_describe(clip.labels, recipe.per_clip, recipe.seed) for clip in clips],
        [_describe([label], recipe.per_label, recipe.seed) for label in vocabulary.labels],
    ]
    told = sorted({text for table in tables for row in table for text in row})
    rows = {text: row for row, text in enumerate(told)}
    filled = (np.array([[rows[text] for text in row] for row in table]) for table in tables)
    return Texts(cache.embed(told), *filled)


def _tell(changes: Sequence[Change], recipe: TextRecipe) -> list[str]:
    """Ask for changes in as many ways as the recipe says, repeated to one length."""
    n = recipe.per_change if len(changes) == 1 else recipe.per_two_changes
    draw = _draw([f"{change.kind} {change.label}" for change in changes], recipe.seed)
    texts = [describe_changes(changes, draw) for _ in range(n)]
    longest = max(recipe.per_change, recipe.per_two_changes)
    return [texts[i % n] for i in range(longest)]


def _describe(labels: Sequence[str], n: int, seed: int) -> list[str]:
    draw = _draw(labels, seed)
    return [describe_sound(labels, draw) for _ in range(n)]


def _draw(about: Sequence[str], seed: int) -> np.random.Generator:
    """Make the generator of all that is told about something."""
    return np.random.default_rng([seed, zlib.crc32("; ".join(about).encode())])
