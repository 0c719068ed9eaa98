from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.clips import Windows
from service.retrieval.change_calibration import CHANGES, name_changes
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.change_features import HOP_S, WINDOW_S
from training.change_detection.calibrate import (
    FALSE_ALARM_RATE,
    N_QUANTILES,
    best_balance,
    fit,
    fit_detector,
    joint_thresholds,
    weighted_quantiles,
)
from training.change_detection.dataset import DetectionDataset
from training.change_detection.excerpts import CONDITIONS, EXCERPT_SAMPLES, Excerpt
from training.change_detection.features import prepare
from training.change_detection.trials import DetectionTrials, make_trials
from training.errors import DatasetError

N_RECORDINGS, N_EXCERPTS, N_WINDOWS, DIM = 60, 6, 9, 40
LASTING = 50


def excerpts() -> list[Excerpt]:
    return [
        Excerpt(
            recording=row,
            start=i * EXCERPT_SAMPLES,
            condition="plain",
            event=event,
            is_lasting=event == LASTING,
        )
        for row in range(N_RECORDINGS)
        for i in range(N_EXCERPTS)
        for event in (None, 99, LASTING)
    ]


def windows(seed: int) -> np.ndarray:
    """Draw windows that scatter around the excerpts."""
    random = np.random.default_rng(seed + 100)
    rows = embeddings(seed)[:, None] + random.standard_normal((len(excerpts()), N_WINDOWS, DIM))
    return rows.astype(np.float32)


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
    rows = np.arange(len(excerpts()))
    prepared = prepare(embeddings(0), windows(0), rows)
    return fit_detector(prepared, trials, np.zeros((0, 2), np.int64), folds)


def decide(
    detector: ChangeDetector, seed: int, trials: DetectionTrials, *, has_windows: bool = True
) -> np.ndarray:
    unseen = embeddings(seed)
    starts_s = HOP_S * np.arange(N_WINDOWS)
    cut = [Windows(rows[0], rows, starts_s, starts_s + WINDOW_S) for rows in windows(seed)]
    return np.array(
        [
            detector.decide(
                unseen[mixture],
                list(unseen[references]),
                [cut[i] for i in (mixture, *references)] if has_windows else [],
            ).what
            for mixture, references in zip(trials.mixtures, trials.references, strict=True)
        ]
    )


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("has_windows", [True, False])
def test_on_other_recordings_the_stated_rate_holds_and_changes_are_found(
    detector: ChangeDetector, trials: dict[int, DetectionTrials], n: int, has_windows: bool
) -> None:
    found = decide(detector, 1, trials[n], has_windows=has_windows)

    changed = found != "nothing"
    assert FALSE_ALARM_RATE / 3 <= changed[trials[n].of("nothing")].mean() <= 3 * FALSE_ALARM_RATE
    for change in ("added", "removed"):
        assert (found[trials[n].of(change)] == change).mean() > 0.6


def test_more_references_find_more(
    detector: ChangeDetector, trials: dict[int, DetectionTrials]
) -> None:
    one, four = (
        decide(detector, 2, trials[n].select(trials[n].of("added")), has_windows=False)
        for n in (1, 4)
    )

    assert (one == "added").mean() < (four == "added").mean()


def test_thresholds_are_passed_by_the_stated_share_of_the_unchanged(
    detector: ChangeDetector,
) -> None:
    shares = np.linspace(0, 1, N_QUANTILES)
    for calibration in (detector.parts.clips, detector.parts.windows):
        assert calibration is not None
        assert calibration.quantiles.shape == (2, 2, N_QUANTILES)
        for margins in calibration.margins:
            assert np.interp(0.0, margins, shares) == pytest.approx(1 - FALSE_ALARM_RATE, abs=0.01)


def test_the_balance_divides_changes_on_both_sides_from_those_on_one() -> None:
    leads = np.array([5.0, 6.0, -5.0, -6.0, 1.0, -1.5])
    margins = np.stack([7.0 + leads / 2, 7.0 - leads / 2])
    rows = np.arange(6)
    is_added, is_removed = np.array([[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]], bool)
    of_all = DetectionTrials(rows, rows[:, None], rows, is_added, is_removed, np.ones(6))

    balance = best_balance(margins, of_all)

    assert [CHANGES[number] for number in name_changes(margins, balance)] == [
        *("added", "added", "removed", "removed", "both", "both")
    ]


def test_each_direction_alone_has_the_same_rate() -> None:
    scores = np.random.default_rng(0).standard_normal((2, 20_000)) * [[1.0], [3.0]]

    thresholds = joint_thresholds(scores, np.ones(20_000), 0.05)

    over = scores > thresholds[:, np.newaxis]
    assert over.any(axis=0).mean() == pytest.approx(0.05, abs=0.002)
    assert over[0].mean() == pytest.approx(over[1].mean(), abs=0.002)


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
    windows = np.array(dataset.windows)
    windows[~others] = np.nan

    fitted = fit(replace(dataset, embeddings=masked, windows=windows), others).parts

    assert np.isfinite(fitted.discriminant.axes).all()
    assert fitted.windows is not None
    for calibration in (fitted.clips, fitted.windows):
        assert np.isfinite(calibration.weights).all()
        assert np.isfinite(calibration.margins).all()


def test_one_recording_is_too_few(dataset: DetectionDataset) -> None:
    row = dataset.clips.recordings[0]

    with pytest.raises(DatasetError, match="recordings in two folds"):
        fit(dataset, np.array([excerpt.recording == row for excerpt in dataset.excerpts]))
