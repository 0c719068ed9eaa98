from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.change_detection.collection import Collection
from training.change_detection.measure import ROC_POINTS, Judged, fit, measure
from training.errors import DatasetError


def judged(margins: np.ndarray, is_added: np.ndarray) -> Judged:
    n = len(margins)
    return Judged(margins, is_added, np.ones(n), np.arange(n) // 2)


def test_rates_are_shares_over_the_threshold() -> None:
    found = judged(np.array([-1.0, 1, -1, -1, 1, 1, -1, 1]), np.arange(8) >= 4)

    assert (found.fired(added=False), found.fired(added=True)) == (0.25, 0.75)
    low, high = found.interval(added=True)
    assert low <= 0.75 <= high


def test_the_roc_rises_from_few_to_all() -> None:
    random = np.random.default_rng(0)
    is_added = np.arange(400) % 2 == 1

    blind = judged(random.standard_normal(400), is_added).roc()
    keen = judged(random.standard_normal(400) + 5.0 * is_added, is_added).roc()

    assert (np.diff(keen) >= 0).all()
    assert keen[-1] == blind[-1] == 1
    np.testing.assert_allclose(blind, ROC_POINTS, atol=0.12)
    assert keen[5] > 0.95


def test_what_is_measured_is_complete(collection: Collection) -> None:
    result = measure(collection)

    told = {(row["references"], row["condition"], row["against"]) for row in result["rates"]}
    assert len(told) == len(result["rates"]) == 3 * 5 + 4
    for row in result["rates"] + result["relative_norm"]:
        for name in ("false_alarms", "detections"):
            low, high = row[f"{name}_95"]
            assert 0 <= low <= row[name] <= high <= 1
    assert result["recordings"] == 6
    curves = result["roc"]["detections"]
    assert set(curves) == {"1", "2", "4", "relative_norm"}
    assert all(len(curve) == len(ROC_POINTS) for curve in curves.values())


def test_a_detector_that_is_fitted_to_others_has_not_heard_a_recording(
    collection: Collection,
) -> None:
    row = collection.material.recordings[0]
    others = np.array([take.row != row for take in collection.takes])
    silenced = collection.embeddings.copy()
    silenced[~others] = np.nan

    fitted = fit(replace(collection, embeddings=silenced), others)

    assert np.isfinite(fitted.discriminant.axes).all()
    assert np.isfinite(fitted.calibration.weights).all()


def test_one_recording_is_too_little(collection: Collection) -> None:
    row = collection.material.recordings[0]

    with pytest.raises(DatasetError, match="recordings in two folds"):
        fit(collection, np.array([take.row == row for take in collection.takes]))
