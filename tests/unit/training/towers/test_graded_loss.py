from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.towers.graded_loss import graded_contrastive_loss
from training.towers.losses import contrastive_loss

N = 7
SCALE = torch.tensor(12.5, dtype=torch.float64)


def unit_vectors(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(N, 8, generator=generator, dtype=torch.float64)
    return rows / rows.norm(dim=1, keepdim=True)


def naive(a: np.ndarray, b: np.ndarray, relevance: np.ndarray, is_same: np.ndarray) -> float:
    """The documented formula, term by term, over both directions."""
    total = 0.0
    for x, y, grades, same in ((a, b, relevance, is_same), (b, a, relevance.T, is_same.T)):
        for i in range(len(x)):
            compared = [j for j in range(len(y)) if j == i or not same[i, j]]
            score = {j: float(SCALE) * float(x[i] @ y[j]) for j in compared}
            numerator = denominator = 0.0
            for j in compared:
                if grades[i, j] == 0:
                    continue
                less = sum(math.exp(score[k]) for k in compared if grades[i, k] < grades[i, j])
                own = math.exp(score[j])
                numerator -= grades[i, j] * math.log(own / (own + less))
                denominator += grades[i, j]
            total += numerator / denominator
    return total / (2 * len(a))


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_the_naive_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    relevance = rng.choice([0.0, 0.25, 0.5, 1.0], (N, N), p=[0.6, 0.2, 0.1, 0.1])
    np.fill_diagonal(relevance, 1.0)
    drawn = rng.random((N, N)) < 0.2
    is_same = drawn | drawn.T
    a, b = unit_vectors(2 * seed), unit_vectors(2 * seed + 1)
    found = graded_contrastive_loss(
        a, b, SCALE, torch.from_numpy(relevance), torch.from_numpy(is_same)
    )
    assert float(found) == pytest.approx(naive(a.numpy(), b.numpy(), relevance, is_same), rel=1e-9)


def test_with_the_own_target_alone_it_is_the_contrastive_loss() -> None:
    a, b = unit_vectors(0), unit_vectors(1)
    is_same = torch.zeros(N, N, dtype=torch.bool)
    is_same[0, 3] = is_same[3, 0] = True
    for same in (None, is_same):
        expected = contrastive_loss(a, b, SCALE, same)
        found = graded_contrastive_loss(a, b, SCALE, torch.eye(N, dtype=torch.float64), same)
        assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_a_positive_is_drawn_nearer_and_a_negative_pushed_away() -> None:
    a, b = unit_vectors(0), unit_vectors(1)
    relevance = torch.eye(N, dtype=torch.float64)
    relevance[0, 1] = 0.5
    scores = (a @ b.T).requires_grad_()
    loss = graded_contrastive_loss(scores, torch.eye(N, dtype=torch.float64), SCALE, relevance)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient[0, 1] < 0  # raising the score of a positive lowers the loss
    assert gradient[0, 2] > 0
    assert torch.isfinite(gradient).all()


def test_all_items_may_be_relevant() -> None:
    a, b = unit_vectors(0), unit_vectors(1)
    queries = a.clone().requires_grad_()
    loss = graded_contrastive_loss(queries, b, SCALE, torch.ones(N, N, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss, queries)
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-9)
    assert torch.isfinite(gradient).all()


def test_rows_may_be_weighted() -> None:
    """A row of weight 0 is still a negative of the others."""
    a, b = unit_vectors(0), unit_vectors(1)
    eye = torch.eye(N, dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0, 0.3, 1.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    logits = float(SCALE) * (a @ b.T).numpy()
    rows = [
        math.log(sum(math.exp(value) for value in line)) - line[i]
        for scores in (logits, logits.T)
        for i, line in enumerate(scores)
    ]
    both = weights.tolist() * 2
    expected = sum(w * row for w, row in zip(both, rows, strict=True)) / sum(both)
    for found in (
        contrastive_loss(a, b, SCALE, None, weights),
        graded_contrastive_loss(a, b, SCALE, eye, None, weights),
    ):
        assert float(found) == pytest.approx(expected, rel=1e-9)
    equal = torch.full((N,), 0.4, dtype=torch.float64)
    plain = float(contrastive_loss(a, b, SCALE))
    assert float(contrastive_loss(a, b, SCALE, None, equal)) == pytest.approx(plain, rel=1e-9)
