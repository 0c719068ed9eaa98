"""Measure detectors by cross-validation over folds of recordings and events.

For each of the five folds, a detector is fitted and calibrated on the four others, on permissive
clips alone as for a shipped bundle, and decides on the trials of this fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from service.difference import relative_norm
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import FALSE_ALARM_RATE, fit, weighted_quantiles
from training.change_detection.dataset import REFERENCE_COUNTS, DetectionDataset
from training.change_detection.discriminant import trial_features
from training.change_detection.excerpts import CONDITIONS, EXCERPT_SAMPLES, FOLDS
from training.change_detection.logistic import score
from training.change_detection.render import SNR_LU
from training.change_detection.trials import DetectionTrials
from training.model.frontend import SAMPLE_RATE

BOOTSTRAPS = 1000
ROC_POINTS = np.round(np.linspace(0.0, 1.0, 101), 2)


@dataclass(frozen=True, slots=True)
class ScoredTrials:
    """Trials with their scores.

    Attributes:
        trials: The trials.
        margins: Score minus the threshold of the detector [trials].
    """

    trials: DetectionTrials
    margins: Float[np.ndarray, " trials"]

    def rate(self, *, added: bool) -> float:
        """Return the share of trials with, or without, an event that are over the threshold."""
        side = self.trials.is_added == added
        return float(np.average(self.margins[side] > 0, weights=self.trials.weights[side]))

    def interval(self, *, added: bool) -> list[float]:
        """Return a 95 % interval of this share, by a bootstrap over recordings."""
        side = self.trials.is_added == added
        weights = self.trials.weights[side]
        rows, numbers = np.unique(self.trials.recordings[side], return_inverse=True)
        total = np.bincount(numbers, weights)
        over = np.bincount(numbers, weights * (self.margins[side] > 0))
        drawn = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
        shares = over[drawn].sum(axis=1) / total[drawn].sum(axis=1)
        return [float(value) for value in np.percentile(shares, [2.5, 97.5])]

    def roc(self) -> Float[np.ndarray, " points"]:
        """Return the share of detections at each rate of false alarms of `ROC_POINTS`."""
        margins, weights, added = self.margins, self.trials.weights, self.trials.is_added
        bounds = weighted_quantiles(margins[~added], weights[~added], 1.0 - ROC_POINTS)
        over = margins[added] > bounds[:, np.newaxis]
        detections: np.ndarray = over @ weights[added] / weights[added].sum()
        detections[-1] = 1.0
        return detections

    def figures(self) -> dict[str, Any]:
        """Return rates of false alarms and of detections with their intervals."""
        return {
            "recordings": len(np.unique(self.trials.recordings)),
            "trials": len(self.margins),
            "false_alarms": round(self.rate(added=False), 4),
            "false_alarms_95": _rounded(self.interval(added=False)),
            "detections": round(self.rate(added=True), 4),
            "detections_95": _rounded(self.interval(added=True)),
        }


Scorer = Callable[[DetectionTrials], Float[np.ndarray, " trials"]]
"""Computes the margins of trials."""


def measure(dataset: DetectionDataset) -> dict[str, Any]:
    """Measure rates of false alarms and of detections, for a results file."""
    detectors = [_fit_without(dataset, fold) for fold in range(FOLDS)]
    by_detector = {
        n: [_detector_scorer(dataset, detector, n) for detector in detectors]
        for n in REFERENCE_COUNTS
    }
    by_norm = [_norm_scorer(dataset, fold) for fold in range(FOLDS)]
    rates, curves = [], {}
    for n, scorers in by_detector.items():
        rows, curves[str(n)] = _rates(dataset, n, scorers)
        rates += rows
    for condition in CONDITIONS[1:]:
        trials = dataset.trials(1, conditions=[condition], against="itself")
        row = {"references": 1, "condition": condition, "against": "itself"}
        rates.append(row | _cross_validate(dataset, trials, by_detector[1]).figures())
    norm_rates, curves["relative_norm"] = _rates(dataset, 1, by_norm)
    return {
        "excerpt_s": EXCERPT_SAMPLES / SAMPLE_RATE,
        "snr_lu": SNR_LU,
        "false_alarm_rate": FALSE_ALARM_RATE,
        "recordings": len(dataset.clips.recordings),
        "events": len(dataset.clips.events),
        "takes": len(dataset.excerpts),
        "folds": FOLDS,
        "rates": rates,
        "relative_norm": norm_rates,
        "roc": {"false_alarms": ROC_POINTS.tolist(), "detections": curves},
    }


def _rates(
    dataset: DetectionDataset, n: int, scorers: Sequence[Scorer]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the rates under every condition with ``n`` references, and the ROC without one."""
    scored = {
        condition: _cross_validate(dataset, dataset.trials(n, conditions=[condition]), scorers)
        for condition in CONDITIONS
    }
    rows = [
        {"references": n, "condition": condition, "against": "others"} | of_condition.figures()
        for condition, of_condition in scored.items()
    ]
    return rows, _rounded(scored["plain"].roc())


def _fit_without(dataset: DetectionDataset, fold: int) -> ChangeDetector:
    folds = dataset.folds
    others = np.array([folds[excerpt.recording] != fold for excerpt in dataset.excerpts])
    return fit(dataset, others & dataset.is_permissive)


def _detector_scorer(dataset: DetectionDataset, detector: ChangeDetector, n: int) -> Scorer:
    calibration = detector.calibration
    row = calibration.row(n)

    def margins(trials: DetectionTrials) -> Float[np.ndarray, " trials"]:
        features = trial_features(detector.discriminant, dataset.embeddings, trials)
        found: np.ndarray = score(calibration.weights[row], features) - calibration.thresholds[row]
        return found

    return margins


def _norm_scorer(dataset: DetectionDataset, fold: int) -> Scorer:
    """Score by the relative norm alone, with a threshold of the other folds."""
    trials = dataset.trials(1).among(dataset.is_permissive)
    rest = trials.select((dataset.folds[trials.recordings] != fold) & ~trials.is_added)
    norms, share = _norms(dataset, rest), 1 - FALSE_ALARM_RATE
    (threshold,) = weighted_quantiles(norms, rest.weights, [share])
    return lambda trials: _norms(dataset, trials) - threshold


def _norms(dataset: DetectionDataset, trials: DetectionTrials) -> Float[np.ndarray, " trials"]:
    embeddings = dataset.embeddings
    return np.array(
        [
            relative_norm(embeddings[mixture], embeddings[reference])
            for mixture, (reference,) in zip(trials.mixtures, trials.references, strict=True)
        ]
    )


def _cross_validate(
    dataset: DetectionDataset, trials: DetectionTrials, scorers: Sequence[Scorer]
) -> ScoredTrials:
    """Score the trials of each fold by the scorer that was fitted without this fold."""
    folds = dataset.folds[trials.recordings]
    margins = np.zeros(len(folds))
    for fold, scorer in enumerate(scorers):
        margins[folds == fold] = scorer(trials.select(folds == fold))
    return ScoredTrials(trials, margins)


def _rounded(values: Sequence[float] | Float[np.ndarray, " values"]) -> list[float]:
    return [round(float(value), 4) for value in values]
