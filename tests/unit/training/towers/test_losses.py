from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.towers.losses import by_words, contrastive, multi_label

SCALE = torch.tensor(12.5)


def units(n: int, seed: int) -> Tensor:
    rows = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
    return rows / rows.norm(dim=1, keepdim=True)


def naive_contrastive(a: np.ndarray, b: np.ndarray, scale: float, alike: np.ndarray) -> float:
    total = 0.0
    for x, y, same in ((a, b, alike), (b, a, alike.T)):
        for i in range(len(x)):
            kept = [j for j in range(len(y)) if j == i or not same[i, j]]
            terms = [math.exp(scale * float(x[i] @ y[j])) for j in kept]
            total -= math.log(math.exp(scale * float(x[i] @ y[i])) / sum(terms))
    return total / (2 * len(a))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_contrastive_loss_is_the_naive_one(share: float) -> None:
    a, b = units(6, 0), units(6, 1)
    drawn = np.random.default_rng(0).random((6, 6)) < share
    alike = drawn | drawn.T
    found = contrastive(a, b, SCALE, torch.from_numpy(alike))
    expected = naive_contrastive(a.double().numpy(), b.double().numpy(), float(SCALE), alike)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_pairs_that_are_alike_do_not_push_each_other_away() -> None:
    everything = torch.ones(4, 4, dtype=torch.bool)
    assert float(contrastive(units(4, 0), units(4, 1), SCALE, everything)) == pytest.approx(0.0)


def test_equal_vectors_cost_the_logarithm_of_their_number() -> None:
    a = units(1, 0).expand(5, 8)
    assert float(contrastive(a, a, SCALE)) == pytest.approx(math.log(5), rel=1e-5)


def test_the_order_of_the_pairs_and_of_the_sides_does_not_matter() -> None:
    a, b = units(6, 0), units(6, 1)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    expected = float(contrastive(a, b, SCALE))
    assert float(contrastive(a[order], b[order], SCALE)) == pytest.approx(expected, rel=1e-5)
    assert float(contrastive(b, a, SCALE)) == pytest.approx(expected, rel=1e-5)


def test_telling_sounds_by_words_is_the_naive_cross_entropy() -> None:
    vectors, words = units(5, 0), units(3, 1)
    labels = torch.tensor([0, 2, 1, 1, 0])
    logits = float(SCALE) * (vectors.double() @ words.double().T).numpy()
    costs = [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(logits, labels.tolist(), strict=True)
    ]
    found = float(by_words(vectors, words, labels, SCALE))
    assert found == pytest.approx(sum(costs) / len(costs), rel=1e-5)


def test_the_multi_label_loss_is_the_mean_over_clips_and_labels() -> None:
    logits, heard = units(4, 0) * 3, (units(4, 1) > 0).float()
    shares = 1 / (1 + np.exp(-logits.double().numpy()))
    marks = heard.double().numpy()
    expected = -(marks * np.log(shares) + (1 - marks) * np.log(1 - shares)).mean()
    assert float(multi_label(logits, heard)) == pytest.approx(float(expected), rel=1e-5)
