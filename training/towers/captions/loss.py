"""The loss on windows and concepts: a contrastive loss whose targets have weights."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def caption_loss(
    sounds: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "concepts dim"],
    weights: Float[Tensor, "batch concepts"],
    is_unsure: Bool[Tensor, "batch concepts"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Classify each sound among all concepts, and each concept among the sounds of the batch.

    Both are cross-entropies with weights as targets. Pairs that are unsure are left out of the
    denominators. A concept that no sound of the batch holds counts in the first part only.

    Args:
        sounds: Unit vectors.
        texts: Unit vectors of a text of each concept.
        weights: Targets; those of a sound add up to 1, or are all 0.
        is_unsure: Pairs that are neither positive nor negative.
        scale: 1 / temperature.
    """
    logits = (scale * sounds @ texts.T).masked_fill(is_unsure, -torch.inf)
    by_sound = soft_cross_entropy(logits, weights)
    by_concept = soft_cross_entropy(logits.T, weights.T)
    return (by_sound + by_concept) / 2


def soft_cross_entropy(
    logits: Float[Tensor, "rows columns"], weights: Float[Tensor, "rows columns"]
) -> Float[Tensor, ""]:
    """Compute the mean cross-entropy of the rows that have a target.

    Args:
        logits: Logits; minus infinity is left out.
        weights: Targets, not negative; each row is scaled to a sum of 1.
    """
    total = weights.sum(dim=1)
    rows = total > 0
    targets = weights[rows] / total[rows, None]
    log_probabilities = functional.log_softmax(logits[rows], dim=1)
    terms = torch.where(targets > 0, targets * log_probabilities, 0.0)
    return -terms.sum(dim=1).mean()
