from __future__ import annotations

import numpy as np
import pytest

from training.change_detection.logistic import fit_weights


def fit(found: np.ndarray, labels: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
    return fit_weights(found, labels, np.ones(len(labels)) if shares is None else shares)


def score(weights: np.ndarray, found: np.ndarray) -> np.ndarray:
    scores: np.ndarray = found @ weights[:-1] + weights[-1]
    return scores


def test_scores_order_what_the_features_order() -> None:
    random = np.random.default_rng(0)
    is_added = np.arange(200) % 2 == 1
    found = random.standard_normal((200, 3))
    found[is_added, 1] += 4.0

    scores = score(fit(found, is_added), found)

    assert np.median(scores[is_added]) > 0 > np.median(scores[~is_added])
    assert np.corrcoef(scores, found[:, 1])[0, 1] > 0.9


def test_a_feature_s_scale_does_not_matter() -> None:
    random = np.random.default_rng(1)
    is_added = random.random(100) < 0.5
    found = random.standard_normal((100, 2)) + is_added[:, None]
    scaled = found * [1000.0, 0.01]

    one, other = (score(fit(each, is_added), each) for each in (found, scaled))

    np.testing.assert_allclose(one, other, atol=1e-3)


def test_both_sides_have_the_same_weight_at_any_number() -> None:
    random = np.random.default_rng(2)
    is_added = np.arange(1100) < 100
    found = random.standard_normal((1100, 1))

    constant = fit(found, is_added)[-1]

    assert constant == pytest.approx(0, abs=0.2)


def test_a_weight_of_two_counts_as_two_trials() -> None:
    random = np.random.default_rng(3)
    is_added = np.arange(60) % 3 == 0
    found = random.standard_normal((60, 2)) + is_added[:, None]
    twice = np.concatenate([found, found[:20]]), np.concatenate([is_added, is_added[:20]])
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)

    weighted = fit(found, is_added, weights)

    np.testing.assert_allclose(weighted, fit(*twice), atol=0.1)
