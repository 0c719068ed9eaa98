from __future__ import annotations

import numpy as np
import pytest

from service.retrieval.change_calibration import CHANGES, name_changes
from training.change_detection.dataset import DetectionDataset
from training.change_detection.measure import ROC_POINTS, ScoredTrials, measure
from training.change_detection.trials import DetectionTrials


def scored(
    margins: np.ndarray, is_added: np.ndarray, is_removed: np.ndarray | None = None
) -> ScoredTrials:
    rows = np.arange(len(is_added))
    removed = np.zeros(len(rows), bool) if is_removed is None else is_removed
    trials = DetectionTrials(rows, rows[:, None], rows // 2, is_added, removed, np.ones(len(rows)))
    both = np.atleast_2d(margins)
    return ScoredTrials(trials, both, name_changes(both, balance=0.5))


def test_rates_are_shares_over_the_threshold() -> None:
    found = scored(np.array([-1.0, 1, -1, -1, 1, 1, -1, 1]), np.arange(8) >= 4).figures()

    assert (found["false_alarms"], found["detections"]) == (0.25, 0.75)
    assert found["one_sided"] == 0
    low, high = found["detections_95"]
    assert low <= 0.75 <= high


def test_the_answers_to_each_change_are_counted() -> None:
    margins = np.array([[1.0, 1, -1, -1, -1, 1], [-1, 1.2, -1, 1, 1, 0.6]])
    is_added = np.array([True, True, True, False, False, True])
    is_removed = np.array([False, False, False, False, True, True])

    rows = {row["change"]: row for row in scored(margins, is_added, is_removed).confusion()}

    assert rows["added"]["answers"] == {
        "nothing": 0.3333,
        "added": 0.3333,
        "removed": 0.0,
        "both": 0.3333,
    }
    assert rows["nothing"]["answers"]["removed"] == rows["removed"]["answers"]["removed"] == 1
    assert rows["both"]["right"] == 1


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
    without = {(row["references"], row["condition"]) for row in result["without_windows"]}
    assert len(without) == len(result["without_windows"]) == 3 * 5
    directions = [(row["references"], row["change"]) for row in result["directions"]]
    assert directions == [(n, change) for n in (1, 2, 4) for change in CHANGES]
    for row in result["directions"]:
        assert sum(row["answers"].values()) == pytest.approx(1, abs=1e-3)
        assert row["right"] == row["answers"][row["change"]]
    for row in result["rates"] + result["without_windows"] + result["relative_norm"]:
        for name in ("false_alarms", "detections"):
            low, high = row[f"{name}_95"]
            assert 0 <= low <= row[name] <= high <= 1
    assert result["recordings"] == 6
    curves = result["roc"]["detections"]
    assert set(curves) == {"1", "2", "4", "without windows", "relative_norm"}
    assert all(len(curve) == len(ROC_POINTS) for curve in curves.values())
