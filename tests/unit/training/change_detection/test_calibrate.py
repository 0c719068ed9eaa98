from __future__ import annotations

import numpy as np
import pytest

from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import (
    FALSE_ALARMS,
    SHARES,
    fit_detector,
    weighted_quantiles,
)
from training.change_detection.takes import CONDITIONS, EXCERPT, Take
from training.change_detection.trials import Trials, make_trials

N_RECORDINGS, N_EXCERPTS, DIM = 60, 6, 40


def takes() -> list[Take]:
    return [
        Take(row=row, first=i * EXCERPT, condition="plain", event=event)
        for row in range(N_RECORDINGS)
        for i in range(N_EXCERPTS)
        for event in (None, 99)
    ]


def embeddings(seed: int) -> np.ndarray:
    """Draw recordings, excerpts that scatter around them, and events that add a direction."""
    random = np.random.default_rng(seed)
    rows = []
    for take in takes():
        recording = 3 * np.random.default_rng(take.row + 1000 * seed).standard_normal(DIM)
        rows.append(recording + random.standard_normal(DIM))
        if take.event is not None:
            rows[-1][:4] += 3.0 + random.standard_normal(4)
    return np.array(rows, np.float32)


@pytest.fixture(scope="module")
def trials() -> dict[int, Trials]:
    return {n: make_trials(takes(), n, conditions=CONDITIONS) for n in (1, 4)}


@pytest.fixture(scope="module")
def detector(trials: dict[int, Trials]) -> ChangeDetector:
    folds = np.arange(N_RECORDINGS) % 5
    return fit_detector(embeddings(0), trials, np.zeros((0, 2), np.int64), folds)


@pytest.mark.parametrize("n", [1, 4])
def test_on_other_recordings_the_stated_rate_holds_and_additions_are_found(
    detector: ChangeDetector, trials: dict[int, Trials], n: int
) -> None:
    unseen = embeddings(1)

    fired = np.array(
        [
            detector.decide(unseen[mixture], list(unseen[references])).changed
            for mixture, references in zip(trials[n].mixtures, trials[n].references, strict=True)
        ]
    )

    added = trials[n].is_added
    assert FALSE_ALARMS / 3 <= fired[~added].mean() <= 3 * FALSE_ALARMS
    assert fired[added].mean() > 0.7


def test_more_references_find_more(detector: ChangeDetector, trials: dict[int, Trials]) -> None:
    unseen = embeddings(2)
    found = []
    for n in (1, 4):
        added = trials[n].select(trials[n].is_added)
        judged = [
            detector.decide(unseen[mixture], list(unseen[references])).changed
            for mixture, references in zip(added.mixtures, added.references, strict=True)
        ]
        found.append(np.mean(judged))

    assert found[0] < found[1]


def test_the_quantiles_lead_to_the_threshold(detector: ChangeDetector) -> None:
    calibration = detector.calibration

    assert calibration.quantiles.shape == (2, SHARES)
    shares = np.linspace(0, 1, SHARES)
    for quantiles, threshold in zip(calibration.quantiles, calibration.thresholds, strict=True):
        assert np.interp(threshold, quantiles, shares) == pytest.approx(1 - FALSE_ALARMS)


def test_a_quantile_weighs_its_values() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 8.0])

    assert weighted_quantiles(values, weights, [0.5])[0] == 2
    assert weighted_quantiles(values, np.ones(3), [0.0, 0.5, 1.0]).tolist() == [1, 2, 3]
