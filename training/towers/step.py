"""One step of a training of towers: a batch of pairs, and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from training.towers.data import NOTHING, TowerData
from training.towers.losses import by_words, contrastive, multi_label
from training.towers.networks import Towers, compose
from training.towers.recipe import TowersRecipe
from training.towers.texts import Texts

EVENTS = 128  # clean events of one step


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as a step sees them, some of them turned round.

    Attributes:
        query: Sounds, float32 [batch inputs].
        target: Sounds, float32 [batch inputs].
        heard_query: Labels heard, float32 [batch labels].
        heard_target: Labels heard, float32 [batch labels].
        clip: Row of the target among the clips, int64 [batch].
        change: Embedded text of the change, float32 [batch hidden].
        description: Embedded description of the target, float32 [batch hidden].
        appears: The one label that is in the target only, or -1; int64 [batch].
        source: The clean event behind it, a row of the events, or -1; int64 [batch].
        words: Embedded words for each label, float32 [labels hidden].
        events: Rows of clean events, int64 [events]; none in validation.
    """

    query: Float32[Tensor, "batch inputs"]
    target: Float32[Tensor, "batch inputs"]
    heard_query: Float32[Tensor, "batch labels"]
    heard_target: Float32[Tensor, "batch labels"]
    clip: Int64[Tensor, " batch"]
    change: Float32[Tensor, "batch hidden"]
    description: Float32[Tensor, "batch hidden"]
    appears: Int64[Tensor, " batch"]
    source: Int64[Tensor, " batch"]
    words: Float32[Tensor, "labels hidden"]
    events: Int64[Tensor, " events"]


def draw_batch(
    data: TowerData, rows: Int64[np.ndarray, " batch"], turned: float, draw: np.random.Generator
) -> Batch:
    """Draw what a step sees of some links: their direction, their texts, and clean events.

    Args:
        data: Of the training.
        rows: Links of the batch.
        turned: Share of them to turn round, target to query.
        draw: Draws.
    """
    texts = data.texts
    is_turned = draw.random(len(rows)) < turned
    way, pick = torch.from_numpy(is_turned.astype(np.int64)), torch.from_numpy(rows)
    query, target = data.ends[pick, way], data.ends[pick, 1 - way]
    told = np.where(is_turned[:, None], texts.back[rows], texts.changes[rows])
    return Batch(
        query=data.clips[query],
        target=data.clips[target],
        heard_query=data.heard[query],
        heard_target=data.heard[target],
        clip=target,
        change=_read(texts, told, draw),
        description=_read(texts, texts.clips[target.numpy()], draw),
        appears=data.appears[pick, way],
        source=data.event[pick, way],
        words=_read(texts, texts.labels, draw),
        events=torch.from_numpy(draw.permutation(len(data.events))[:EVENTS]),
    )


def measure_losses(
    towers: Towers, batch: Batch, data: TowerData, recipe: TowersRecipe, *, with_events: bool
) -> dict[str, Float[Tensor, ""]]:
    """Compute the losses that the recipe gives a weight, unweighted.

    Args:
        towers: In training or in evaluation mode.
        batch: Of pairs, as the audio tower sees them.
        data: The same; holds the clean events and how differences are taken.
        recipe: Of the training.
        with_events: Take the loss on clean events, which are no pairs, too.
    """
    weights, scale = recipe.loss, towers.scale
    heard, found = towers.audio.place(batch.query), towers.audio.place(batch.target)
    query = compose(
        heard if recipe.network.query != "text" else None,
        towers.text(batch.change) if recipe.network.query != "audio" else None,
    )
    items = functional.normalize(found, dim=-1)
    is_same = batch.clip[:, None] == batch.clip[None, :]
    losses = {"contrastive": contrastive(query, items, scale, is_same)}
    if weights.classification:
        logits = towers.labels(torch.cat([heard, found]))
        marks = torch.cat([batch.heard_query, batch.heard_target])
        losses["classification"] = multi_label(logits, marks)
    if weights.description:
        told = compose(None, towers.text(batch.description))
        losses["description"] = contrastive(told, items, scale, _alike(batch.heard_target))
    if weights.events or weights.difference:
        words = compose(None, towers.text(batch.words))
        if weights.events and with_events:
            clean = compose(towers.audio.place(data.events[batch.events]), None)
            labels = data.event_labels[batch.events]
            losses["events"] = by_words(clean, words, labels, scale)
        if weights.difference:
            losses |= _difference(towers, batch, data, words)
    return losses


def _difference(
    towers: Towers, batch: Batch, data: TowerData, words: Float[Tensor, "labels dim"]
) -> dict[str, Float[Tensor, ""]]:
    """Hold what remains of a target without its query to the words and to the clean event."""
    has_label = batch.appears != NOTHING
    if has_label.sum() < 2:
        return {}
    kept = batch.target - data.reference_weight * (batch.query - data.mean)
    remains = compose(towers.audio.place(kept[has_label]), None)
    labels, source = batch.appears[has_label], batch.source[has_label]
    loss = by_words(remains, words, labels, towers.scale)
    has_event = source != NOTHING
    if has_event.sum() >= 2:
        clean = compose(towers.audio.place(data.events[source[has_event]]), None)
        labels = labels[has_event]
        alike = labels[:, None] == labels[None, :]
        loss = (loss + contrastive(remains[has_event], clean, towers.scale, alike)) / 2
    return {"difference": loss}


def _read(
    texts: Texts, told: Int64[np.ndarray, "rows variants"], draw: np.random.Generator
) -> Float32[Tensor, "rows hidden"]:
    """Draw one text of each row."""
    variant = draw.integers(told.shape[1], size=len(told))
    return torch.from_numpy(texts.embeddings[told[np.arange(len(told)), variant]])


def total_loss(losses: dict[str, Float[Tensor, ""]], recipe: TowersRecipe) -> Float[Tensor, ""]:
    """Add the losses up, each with its weight; the contrastive one has weight 1."""
    weights = recipe.loss.model_dump() | {"contrastive": 1.0}
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def _alike(heard: Float32[Tensor, "batch labels"]) -> Bool[Tensor, "batch batch"]:
    """Tell which clips have the same labels, so that one's description fits the other."""
    n = heard.sum(dim=1)
    common = heard @ heard.T
    return (common == n[:, None]) & (common == n[None, :])
