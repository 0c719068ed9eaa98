"""The losses of the towers, and their sum for one batch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from training.towers.batches import Batch
from training.towers.data import TowerData
from training.towers.graded_loss import graded_contrastive_loss
from training.towers.networks import TowerNetworks, compose_query
from training.towers.recipe import TowersRecipe
from training.towers.references import NONE


def contrastive_loss(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "batch dim"],
    scale: Float[Tensor, ""],
    is_same: Bool[Tensor, "batch batch"] | None = None,
    weights: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: row i of each side is classified among all rows of the other side.

    Args:
        queries: Unit vectors.
        items: Unit vectors.
        scale: 1 / temperature.
        is_same: Rows that are not negatives of each other, symmetric; the diagonal is ignored.
        weights: Weight of each row, not all 0; None for equal ones.

    Returns:
        Mean over both directions; ln(batch) where all vectors are equal.
    """
    logits = scale * queries @ items.T
    own = torch.arange(len(logits), device=logits.device)
    if is_same is not None:
        is_other = ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(is_same & is_other, -torch.inf)
    if weights is None:
        return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    both = (functional.cross_entropy(each, own, reduction="none") for each in (logits, logits.T))
    return sum(both, torch.zeros_like(weights)) @ weights / (2 * weights.sum())


def label_loss(
    vectors: Float[Tensor, "batch dim"],
    label_vectors: Float[Tensor, "labels dim"],
    labels: Int64[Tensor, " batch"],
    scale: Float[Tensor, ""],
    is_candidate: Bool[Tensor, "named labels"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of classifying sounds by the texts of the labels.

    Args:
        vectors: Unit vectors of sounds.
        label_vectors: Unit vectors of the text of each label; further texts may follow.
        labels: The right row of ``label_vectors`` for each sound.
        scale: 1 / temperature.
        is_candidate: Texts that a sound of each label is classified among; None for all.
    """
    logits = scale * vectors @ label_vectors.T
    if is_candidate is not None:
        logits = logits.masked_fill(~is_candidate[labels], -torch.inf)
    return functional.cross_entropy(logits, labels)


def compute_losses(
    networks: TowerNetworks,
    batch: Batch,
    data: TowerData,
    recipe: TowersRecipe,
    *,
    with_events: bool,
) -> dict[str, Float[Tensor, ""]]:
    """Compute the losses that have a weight in the recipe, unweighted.

    Args:
        networks: In training or in evaluation mode.
        batch: Pairs with normalised embeddings.
        data: The same embeddings; has the clean events and the weight of a reference.
        recipe: Recipe of the training.
        with_events: Include the loss on clean events, which does not depend on the pairs.
    """
    weights, scale = recipe.loss, networks.scale
    audio, target = networks.audio.project(batch.query), networks.audio.project(batch.target)
    query = compose_query(
        audio if recipe.network.query != "text" else None,
        networks.text(batch.request) if recipe.network.query != "audio" else None,
    )
    items = functional.normalize(target, dim=-1)
    is_same_clip = batch.target_clip[:, None] == batch.target_clip[None, :]
    row_weights = _weigh_rows(batch, weights.other_recordings)
    losses = {
        "contrastive": contrastive_loss(query, items, scale, is_same_clip, row_weights)
        if batch.relevance is None
        else graded_contrastive_loss(
            query, items, scale, batch.relevance, is_same_clip, row_weights
        )
    }
    if weights.classification:
        logits = networks.labels(torch.cat([audio, target]))
        labels = torch.cat([batch.query_labels, batch.target_labels])
        losses["classification"] = functional.binary_cross_entropy_with_logits(logits, labels)
    if weights.description:
        descriptions = compose_query(None, networks.text(batch.description))
        is_same = _has_same_labels(batch.target_labels)
        losses["description"] = contrastive_loss(descriptions, items, scale, is_same)
    if weights.events or weights.difference:
        label_vectors = compose_query(None, networks.text(batch.label_texts))
        if weights.events and with_events:
            events = compose_query(networks.audio.project(data.events[batch.events]), None)
            event_labels = data.event_labels[batch.events]
            losses["events"] = label_loss(
                events, label_vectors, event_labels, scale, batch.is_candidate
            )
        if weights.difference:
            losses |= _difference_loss(networks, batch, data, label_vectors)
    return losses


def total_loss(losses: dict[str, Float[Tensor, ""]], recipe: TowersRecipe) -> Float[Tensor, ""]:
    """Add the losses up, each with its weight; the contrastive one has weight 1."""
    weights = recipe.loss.model_dump() | {"contrastive": 1.0}
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def _weigh_rows(batch: Batch, weight: float) -> Float[Tensor, " batch"] | None:
    """Weigh the pairs of a batch for the main loss; None for equal weights."""
    if weight == 1.0 or not batch.is_other.any() or batch.is_other.all():
        return None
    return torch.where(batch.is_other, weight, 1.0)


def _difference_loss(
    networks: TowerNetworks,
    batch: Batch,
    data: TowerData,
    label_vectors: Float[Tensor, "labels dim"],
) -> dict[str, Float[Tensor, ""]]:
    """Compare target minus reference with the text of the added label and its clean event."""
    has_label = batch.added_label != NONE
    if has_label.sum() < 2:
        return {}
    mixture, reference = batch.target[has_label], batch.reference[has_label] - data.mean
    remainder = networks.subtract(mixture, reference, data.reference_weight)
    vectors = compose_query(networks.audio.project(remainder), None)
    labels, events = batch.added_label[has_label], batch.added_event[has_label]
    loss = label_loss(vectors, label_vectors, labels, networks.scale, batch.is_candidate)
    has_event = events != NONE
    if has_event.sum() >= 2:
        clean = compose_query(networks.audio.project(data.events[events[has_event]]), None)
        labels = labels[has_event]
        is_same = labels[:, None] == labels[None, :]
        loss = (loss + contrastive_loss(vectors[has_event], clean, networks.scale, is_same)) / 2
    return {"difference": loss}


def _has_same_labels(labels: Float32[Tensor, "batch labels"]) -> Bool[Tensor, "batch batch"]:
    """Tell which clips have the same labels, so that the description of one fits the other."""
    n = labels.sum(dim=1)
    n_common = labels @ labels.T
    return (n_common == n[:, None]) & (n_common == n[None, :])
