from __future__ import annotations

import numpy as np
import pytest
import torch

from training.towers.captions.loss import caption_loss, soft_cross_entropy


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    drawn = rng.normal(size=shape)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def naive_part(logits: np.ndarray, weights: np.ndarray, is_unsure: np.ndarray) -> float:
    """Cross-entropy of the rows with a target, term by term in float64."""
    losses = []
    for row in range(len(logits)):
        if weights[row].sum() == 0:
            continue
        kept = [c for c in range(logits.shape[1]) if not is_unsure[row, c]]
        total = sum(np.exp(logits[row, c]) for c in kept)
        target = weights[row] / weights[row].sum()
        losses.append(-sum(target[c] * np.log(np.exp(logits[row, c]) / total) for c in kept))
    return float(np.mean(losses))


def test_the_loss_is_that_of_a_naive_version() -> None:
    rng = np.random.default_rng(0)
    sounds, texts = unit(rng, 6, 8), unit(rng, 9, 8)
    weights = rng.random((6, 9)) * (rng.random((6, 9)) < 0.3)
    weights[2] = 0
    weights[:, 4] = 0
    is_unsure = (rng.random((6, 9)) < 0.2) & (weights == 0)
    logits = 5.0 * sounds @ texts.T
    expected = (
        naive_part(logits, weights, is_unsure) + naive_part(logits.T, weights.T, is_unsure.T)
    ) / 2
    found = caption_loss(
        torch.from_numpy(sounds),
        torch.from_numpy(texts),
        torch.from_numpy(weights),
        torch.from_numpy(is_unsure),
        torch.tensor(5.0),
    )
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_the_loss_is_lowest_where_the_targets_are() -> None:
    weights = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]])
    best = soft_cross_entropy(torch.log(weights + 1e-9), weights)
    for _ in range(20):
        assert best <= soft_cross_entropy(torch.randn(2, 3), weights)


def test_unsure_pairs_have_no_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    is_unsure = torch.tensor([[False, True, False], [False, False, True]])
    soft_cross_entropy(logits.masked_fill(is_unsure, -torch.inf), weights).backward()
    assert logits.grad is not None
    assert bool((logits.grad[is_unsure] == 0).all())
    assert bool((logits.grad[~is_unsure] != 0).all())
