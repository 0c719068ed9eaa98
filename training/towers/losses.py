"""The losses of the towers."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional


def contrastive(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "batch dim"],
    scale: Float[Tensor, ""],
    alike: Bool[Tensor, "batch batch"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: row i of each side is to be told from all other rows of the other.

    Args:
        queries: Unit vectors.
        items: Unit vectors.
        scale: 1 / temperature.
        alike: Pairs that are no negatives of each other, symmetric; the diagonal does not matter.

    Returns:
        Mean over both directions; ln(batch) where all vectors are equal.
    """
    logits = scale * queries @ items.T
    own = torch.arange(len(logits), device=logits.device)
    if alike is not None:
        is_other = ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(alike & is_other, -torch.inf)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def by_words(
    vectors: Float[Tensor, "batch dim"],
    words: Float[Tensor, "labels dim"],
    labels: Int64[Tensor, " batch"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Cross-entropy of telling a sound's label by the words that lie nearest.

    Args:
        vectors: Unit vectors of sounds.
        words: Unit vectors of the words for each label.
        labels: The right row of ``words`` for each sound.
        scale: 1 / temperature.
    """
    return functional.cross_entropy(scale * vectors @ words.T, labels)


def multi_label(
    logits: Float[Tensor, "batch labels"], heard: Float[Tensor, "batch labels"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of what is heard in a clip, mean over clips and labels."""
    return functional.binary_cross_entropy_with_logits(logits, heard)
