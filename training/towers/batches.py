"""Batches of pairs. Pairs over the same backgrounds are hard negatives of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from training.towers.data import TowerData
from training.towers.recipe import TowersRecipe
from training.towers.references import draw_references
from training.towers.texts import TrainingTexts

MAX_EVENTS = 128  # clean events of one batch


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs of one step, some of them reversed.

    Attributes:
        query: Embeddings, float32 [batch inputs].
        target: Embeddings, float32 [batch inputs].
        reference: Embeddings that are subtracted from the targets, those of the queries or of clips
            over other recordings, float32 [batch inputs].
        query_labels: Labels as zeros and ones, float32 [batch labels].
        target_labels: Labels as zeros and ones, float32 [batch labels].
        target_clip: Row of the target among the clips, int64 [batch].
        is_other: Whether the target is over other recordings than the query, bool [batch].
        relevance: Relevance of each target (column) for each query (row), 0 to 1, float32
            [batch batch]; None where the own target alone is relevant.
        request: Embedded request for the changes, float32 [batch hidden].
        description: Embedded description of the target, float32 [batch hidden].
        added_label: The one label that only the target has, or -1; int64 [batch].
        added_event: Its clean event, a row of the events, or -1; int64 [batch].
        label_texts: Embedded description of each label, float32 [labels hidden]; with captions,
            descriptions of all concepts follow.
        events: Rows of clean events, int64 [events].
        is_candidate: Rows of ``label_texts`` that a sound of each label is classified among, bool
            [labels, rows]; None for all.
    """

    query: Float32[Tensor, "batch inputs"]
    target: Float32[Tensor, "batch inputs"]
    reference: Float32[Tensor, "batch inputs"]
    query_labels: Float32[Tensor, "batch labels"]
    target_labels: Float32[Tensor, "batch labels"]
    target_clip: Int64[Tensor, " batch"]
    is_other: Bool[Tensor, " batch"]
    relevance: Float32[Tensor, "batch batch"] | None
    request: Float32[Tensor, "batch hidden"]
    description: Float32[Tensor, "batch hidden"]
    added_label: Int64[Tensor, " batch"]
    added_event: Int64[Tensor, " batch"]
    label_texts: Float32[Tensor, "named hidden"]
    events: Int64[Tensor, " events"]
    is_candidate: Bool[Tensor, "labels named"] | None = None


def draw_batches(
    background_ids: Int64[np.ndarray, " pairs"],
    *,
    batch_size: int,
    group_size: int,
    rng: np.random.Generator,
) -> Iterator[Int64[np.ndarray, " batch"]]:
    """Yield all pairs once, in batches of groups over the same backgrounds.

    Args:
        background_ids: Number of the backgrounds of each query.
        batch_size: Pairs of one batch; the last batch may be smaller, and is dropped below 2.
        group_size: Largest number of pairs of one group; 1 is a plain shuffle.
        rng: Shuffles the pairs over the same backgrounds, and the groups.
    """
    shuffled = rng.permutation(len(background_ids))
    sorted_rows = shuffled[np.argsort(background_ids[shuffled], kind="stable")]
    borders = np.flatnonzero(np.diff(background_ids[sorted_rows])) + 1
    groups = [
        rows[first : first + group_size]
        for rows in np.split(sorted_rows, borders)
        for first in range(0, len(rows), group_size)
    ]
    order = np.concatenate([groups[i] for i in rng.permutation(len(groups))])
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        if len(batch) >= 2:
            yield batch


def draw_batch(
    data: TowerData,
    rows: Int64[np.ndarray, " batch"],
    reversed_share: float,
    rng: np.random.Generator,
    recipe: TowersRecipe | None = None,
) -> Batch:
    """Draw the directions and texts of some pairs, their references, and clean events.

    Args:
        data: Data of the training.
        rows: Pairs of the batch.
        reversed_share: Share of them that leads from target to query.
        rng: Draws.
        recipe: Draws references over other recordings and grades the relevance as it says; None
            does neither.
    """
    texts = data.texts
    is_reversed = rng.random(len(rows)) < reversed_share
    direction, pairs = torch.from_numpy(is_reversed.astype(np.int64)), torch.from_numpy(rows)
    query, target = data.pair_clips[pairs, direction], data.pair_clips[pairs, 1 - direction]
    requests = np.where(is_reversed[:, None], texts.reversed_changes[rows], texts.changes[rows])
    references, relevance = data.clips[query], None
    if recipe is not None:
        candidates = data.references[rows, direction.numpy()]
        references = draw_references(references, data.clips, candidates, recipe.references, rng)
        if grade := recipe.loss.relevance:
            relevance = data.contents.grade((query, target), pairs, direction, grade)
    return Batch(
        query=data.clips[query],
        target=data.clips[target],
        reference=references,
        query_labels=data.clip_labels[query],
        target_labels=data.clip_labels[target],
        target_clip=target,
        is_other=torch.from_numpy(data.background_ids[rows, 0] != data.background_ids[rows, 1]),
        relevance=relevance,
        request=_choose(texts, requests, rng),
        description=_choose(texts, texts.clips[target.numpy()], rng),
        added_label=data.added_labels[pairs, direction],
        added_event=data.added_events[pairs, direction],
        label_texts=_choose(texts, texts.labels, rng),
        events=torch.from_numpy(rng.permutation(len(data.events))[:MAX_EVENTS]),
    )


def split_pairs(
    background_ids: Int64[np.ndarray, "pairs 2"], *, share: float, by_background: bool, seed: int
) -> tuple[Int64[np.ndarray, " trained"], Int64[np.ndarray, " validated"]]:
    """Draw the pairs for validation; at least one, where the share is above 0.

    Args:
        background_ids: Numbers of the backgrounds of query and target.
        share: Share for validation, 0 to 1.
        by_background: Draw all pairs over the same backgrounds together, instead of single pairs. A
            pair of which one clip is drawn and the other is not has no part.
        seed: Draws them.

    Returns:
        Rows to train on and rows to validate with, each in ascending order.
    """
    rng = np.random.default_rng(seed)
    # The other backgrounds of a rendered pair are drawn with those of its query.
    background_ids = np.where(background_ids < 0, -1 - background_ids, background_ids)
    pair_rows = np.repeat(np.arange(len(background_ids))[:, None], 2, axis=1)
    groups = background_ids if by_background else pair_rows
    names = rng.permutation(np.unique(groups))
    n_validated = max(round(share * len(names)), 1) if share > 0 else 0
    is_drawn = np.isin(groups, names[:n_validated])
    return np.flatnonzero(~is_drawn.any(axis=1)), np.flatnonzero(is_drawn.all(axis=1))


def _choose(
    texts: TrainingTexts, table: Int64[np.ndarray, "rows variants"], rng: np.random.Generator
) -> Float32[Tensor, "rows hidden"]:
    """Draw one text of each row."""
    variant = rng.integers(table.shape[1], size=len(table))
    return torch.from_numpy(texts.embeddings[table[np.arange(len(table)), variant]])
