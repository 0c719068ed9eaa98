from __future__ import annotations

import numpy as np

from training.change_detection.dataset import DetectionDataset
from training.change_detection.measure import ROC_POINTS, ScoredTrials, measure
from training.change_detection.trials import DetectionTrials


def scored(margins: np.ndarray, is_added: np.ndarray) -> ScoredTrials:
    rows = np.arange(len(margins))
    trials = DetectionTrials(rows, rows[:, None], rows // 2, is_added, np.ones(len(rows)))
    return ScoredTrials(trials, margins)


def test_rates_are_shares_over_the_threshold() -> None:
    found = scored(np.array([-1.0, 1, -1, -1, 1, 1, -1, 1]), np.arange(8) >= 4)

    assert (found.rate(added=False), found.rate(added=True)) == (0.25, 0.75)
    low, high = found.interval(added=True)
    assert low <= 0.75 <= high


def test_the_roc_rises_from_few_to_all() -> None:
    random = np.random.default_rng(0)
    is_added = np.arange(400) % 2 == 1

    random_scores = scored(random.standard_normal(400), is_added).roc()
    good_scores = scored(random.standard_normal(400) + 5.0 * is_added, is_added).roc()

    assert (np.diff(good_scores) >= 0).all()
    assert good_scores[-1] == random_scores[-1] == 1
    np.testing.assert_allclose(random_scores, ROC_POINTS, atol=0.12)
    assert good_scores[5] > 0.95


def test_every_condition_and_number_of_references_is_measured(dataset: DetectionDataset) -> None:
    result = measure(dataset)

    rows = {(row["references"], row["condition"], row["against"]) for row in result["rates"]}
    assert len(rows) == len(result["rates"]) == 3 * 5 + 4
    for row in result["rates"] + result["relative_norm"]:
        for name in ("false_alarms", "detections"):
            low, high = row[f"{name}_95"]
            assert 0 <= low <= row[name] <= high <= 1
    assert result["recordings"] == 6
    curves = result["roc"]["detections"]
    assert set(curves) == {"1", "2", "4", "relative_norm"}
    assert all(len(curve) == len(ROC_POINTS) for curve in curves.values())
