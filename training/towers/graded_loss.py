"""Contrastive loss with several positives of graded relevance."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NEVER = -1e4  # logit of what is not compared; far below 1 / temperature, and finite for gradients


def graded_contrastive_loss(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "batch dim"],
    scale: Float[Tensor, ""],
    relevance: Float[Tensor, "batch batch"],
    is_same: Bool[Tensor, "batch batch"] | None = None,
    weights: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric loss that ranks every positive above all that is less relevant.

    With scores s and relevance r, the loss of query i is

        sum_j r_ij l_ij / sum_j r_ij,
        l_ij = -ln(exp(s_ij) / (exp(s_ij) + sum over k with r_ik < r_ij of exp(s_ik)))

    (after the ranked positives of Hoffmann et al., "Ranking Info Noise Contrastive Estimation",
    AAAI 2022). The term of the own target, of relevance 1, is that of
    `training.towers.losses.contrastive_loss`; if nothing else is relevant, so is the whole loss.

    Args:
        queries: Unit vectors.
        items: Unit vectors.
        scale: 1 / temperature.
        relevance: Relevance of each item (column) for each query (row), 0 to 1; 1 on the diagonal.
        is_same: Rows that are not compared with each other; the diagonal is ignored.
        weights: Weight of each row, not all 0; None for equal ones.

    Returns:
        Mean over both directions.
    """
    logits = scale * queries @ items.T
    if is_same is not None:
        left_out = is_same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(left_out, NEVER)
        relevance = relevance.masked_fill(left_out, 0.0)
    losses = (_row_losses(logits, relevance) + _row_losses(logits.T, relevance.T)) / 2
    return losses.mean() if weights is None else losses @ weights / weights.sum()


def _row_losses(
    logits: Float[Tensor, "batch batch"], relevance: Float[Tensor, "batch batch"]
) -> Float[Tensor, " batch"]:
    """Compute the loss of each row."""
    total = torch.zeros_like(logits[:, 0])
    for grade in torch.unique(relevance[relevance > 0]):
        is_less = relevance < grade
        less = logits.masked_fill(~is_less, NEVER).logsumexp(dim=1, keepdim=True)
        losses = torch.logaddexp(logits, less) - logits
        total = total + (grade * losses).masked_fill(relevance != grade, 0.0).sum(dim=1)
    return total / relevance.sum(dim=1)
