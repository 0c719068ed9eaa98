from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import (
    FALSE_ALARM_RATE,
    N_QUANTILES,
    fit,
    fit_detector,
    weighted_quantiles,
)
from training.change_detection.dataset import DetectionDataset
from training.change_detection.excerpts import CONDITIONS, EXCERPT_SAMPLES, Excerpt
from training.change_detection.trials import DetectionTrials, make_trials
from training.errors import DatasetError

N_RECORDINGS, N_EXCERPTS, DIM = 60, 6, 40


def excerpts() -> list[Excerpt]:
    return [
        Excerpt(recording=row, start=i * EXCERPT_SAMPLES, condition="plain", event=event)
        for row in range(N_RECORDINGS)
        for i in range(N_EXCERPTS)
        for event in (None, 99)
    ]


def embeddings(seed: int) -> np.ndarray:
    """Draw recordings, excerpts that scatter around them, and events that add a direction."""
    random = np.random.default_rng(seed)
    rows = []
    for excerpt in excerpts():
        recording = 3 * np.random.default_rng(excerpt.recording + 1000 * seed).standard_normal(DIM)
        rows.append(recording + random.standard_normal(DIM))
        if excerpt.event is not None:
            rows[-1][:4] += 3.0 + random.standard_normal(4)
    return np.array(rows, np.float32)


@pytest.fixture(scope="module")
def trials() -> dict[int, DetectionTrials]:
    return {n: make_trials(excerpts(), n, conditions=CONDITIONS) for n in (1, 4)}


@pytest.fixture(scope="module")
def detector(trials: dict[int, DetectionTrials]) -> ChangeDetector:
    folds = np.arange(N_RECORDINGS) % 5
    return fit_detector(embeddings(0), trials, np.zeros((0, 2), np.int64), folds)


def decide(detector: ChangeDetector, unseen: np.ndarray, trials: DetectionTrials) -> np.ndarray:
    return np.array(
        [
            detector.decide(unseen[mixture], list(unseen[references])).changed
            for mixture, references in zip(trials.mixtures, trials.references, strict=True)
        ]
    )


@pytest.mark.parametrize("n", [1, 4])
def test_on_other_recordings_the_stated_rate_holds_and_additions_are_found(
    detector: ChangeDetector, trials: dict[int, DetectionTrials], n: int
) -> None:
    fired = decide(detector, embeddings(1), trials[n])

    added = trials[n].is_added
    assert FALSE_ALARM_RATE / 3 <= fired[~added].mean() <= 3 * FALSE_ALARM_RATE
    assert fired[added].mean() > 0.7


def test_more_references_find_more(
    detector: ChangeDetector, trials: dict[int, DetectionTrials]
) -> None:
    one, four = (
        decide(detector, embeddings(2), trials[n].select(trials[n].is_added)) for n in (1, 4)
    )

    assert one.mean() < four.mean()


def test_the_threshold_is_a_quantile_of_the_unchanged(detector: ChangeDetector) -> None:
    calibration = detector.calibration

    assert calibration.quantiles.shape == (2, N_QUANTILES)
    shares = np.linspace(0, 1, N_QUANTILES)
    for quantiles, threshold in zip(calibration.quantiles, calibration.thresholds, strict=True):
        assert np.interp(threshold, quantiles, shares) == pytest.approx(1 - FALSE_ALARM_RATE)


def test_a_quantile_weighs_its_values() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 8.0])

    assert weighted_quantiles(values, weights, [0.5])[0] == 2
    assert weighted_quantiles(values, np.ones(3), [0.0, 0.5, 1.0]).tolist() == [1, 2, 3]


def test_a_recording_that_is_not_chosen_does_not_matter(
    dataset: DetectionDataset,
) -> None:
    row = dataset.clips.recordings[0]
    others = np.array([excerpt.recording != row for excerpt in dataset.excerpts])
    masked = dataset.embeddings.copy()
    masked[~others] = np.nan

    fitted = fit(replace(dataset, embeddings=masked), others)

    assert np.isfinite(fitted.discriminant.axes).all()
    assert np.isfinite(fitted.calibration.weights).all()


def test_one_recording_is_too_few(dataset: DetectionDataset) -> None:
    row = dataset.clips.recordings[0]

    with pytest.raises(DatasetError, match="recordings in two folds"):
        fit(dataset, np.array([excerpt.recording == row for excerpt in dataset.excerpts]))
