from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.logistic_probe import (
    STRENGTHS,
    fit_logistic,
    grouped_folds,
    run_logistic_probe,
)


def clusters(n: int, dim: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre for each of three classes; at most 30 dimensions tell them apart."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    points = random.normal(size=(n, dim))
    told = min(dim, 30)
    points[:, :told] += spread * (np.arange(told) % 3 == labels[:, None])
    return points.astype(np.float32), labels


def test_the_fit_is_the_minimum_of_its_loss() -> None:
    """At the minimum, in float64 and written out, no direction changes the loss."""
    points, labels = clusters(60, 5, 1.0)
    features, strength = points.astype(np.float64), 0.3
    weights = fit_logistic(features, labels, strength, np.zeros((6, 3)))

    def loss(w: np.ndarray) -> float:
        total = 0.0
        for row, label in zip(features, labels, strict=True):
            logits = row @ w[:-1] + w[-1]
            total += np.log(np.exp(logits).sum()) - logits[label]
        return float(total + (w[:-1] ** 2).sum() / (2 * strength))

    best = loss(weights)
    random = np.random.default_rng(1)
    for _ in range(20):
        step = 1e-3 * random.normal(size=weights.shape)
        assert loss(weights + step) > best - 1e-6
        slope = (loss(weights + step) - loss(weights - step)) / 2e-3
        assert abs(slope) < 1e-2


@pytest.mark.parametrize("dim", [4, 300])
def test_classes_are_found_whether_features_are_few_or_more_than_rows(dim: int) -> None:
    points, labels = clusters(120, dim, 8.0)
    rows = np.arange(120)
    train, test = rows[:90], rows[90:]
    inner = grouped_folds(train, [str(row) for row in rows], seed=0)
    result = run_logistic_probe(points, labels, train, test, inner)
    assert result.is_right.mean() > 0.9
    assert result.strength in STRENGTHS


def test_more_features_than_rows_give_the_predictions_of_the_plain_regression() -> None:
    points, labels = clusters(60, 200, 2.0)
    train, test = np.arange(40), np.arange(40, 60)
    inner = grouped_folds(train, [str(i) for i in range(60)], seed=0)
    result = run_logistic_probe(points, labels, train, test, inner)
    mean, std = points[train].mean(axis=0), points[train].std(axis=0)
    scaled = ((points - mean) / std).astype(np.float64)
    weights = fit_logistic(scaled[train], labels[train], result.strength, np.zeros((201, 3)))
    found = (scaled[test] @ weights[:-1] + weights[-1]).argmax(axis=1)
    assert ((found == labels[test]) == result.is_right).all()


def test_the_test_rows_do_not_change_the_choice() -> None:
    """Noise in the test rows, and even their labels, leave the chosen strength as it is."""
    points, labels = clusters(90, 20, 1.5)
    train, test = np.arange(60), np.arange(60, 90)
    inner = grouped_folds(train, [str(i) for i in range(90)], seed=0)
    first = run_logistic_probe(points, labels, train, test, inner)
    points[test], labels[test] = 100.0, 0
    assert run_logistic_probe(points, labels, train, test, inner).strength == first.strength


def test_weak_classes_in_many_dimensions_want_a_strong_penalty() -> None:
    points, labels = clusters(90, 400, 1.2, seed=3)
    rows = np.arange(90)
    inner = grouped_folds(rows[:60], [str(i) for i in rows], seed=0)
    assert run_logistic_probe(points, labels, rows[:60], rows[60:], inner).strength < 1.0


def test_inner_folds_never_divide_a_group() -> None:
    rows = np.arange(5, 50)
    groups = [str(i // 4) for i in range(60)]
    folds = grouped_folds(rows, groups, seed=2)
    for fit, held in folds:
        assert sorted([*fit, *held]) == rows.tolist()
        assert not {groups[i] for i in fit} & {groups[i] for i in held}
        assert held.size
    assert sorted(row for _, held in folds for row in held) == rows.tolist()
