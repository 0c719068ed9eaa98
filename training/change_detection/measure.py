"""Measures detectors on recordings and events that took no part in their fit or calibration.

Recordings and events are in five folds. For each, a detector is fitted and calibrated on the four
others, permissive clips alone as for a shipped one, and judges the trials of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from service.difference import relative_norm
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import FALSE_ALARMS, fit_detector, weighted_quantiles
from training.change_detection.collection import COUNTS, Collection
from training.change_detection.discriminant import features
from training.change_detection.logistic import apply
from training.change_detection.render import SNR_LU
from training.change_detection.takes import CONDITIONS, EXCERPT, FOLDS, Condition
from training.change_detection.trials import Against, Trials
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

BOOTSTRAPS = 1000
ROC_POINTS = np.round(np.linspace(0.0, 1.0, 101), 2)


@dataclass(frozen=True, slots=True)
class Judged:
    """Trials with their scores.

    Attributes:
        margins: Score less the threshold of the detector that gave it [trials].
        is_added: Whether an event is in the mixture [trials].
        weights: So that each recording counts 1 [trials].
        recordings: Their recordings [trials].
    """

    margins: Float[np.ndarray, " trials"]
    is_added: Bool[np.ndarray, " trials"]
    weights: Float[np.ndarray, " trials"]
    recordings: Int64[np.ndarray, " trials"]

    def fired(self, *, added: bool) -> float:
        """Return the share of the trials of a side that are over the threshold."""
        side = self.is_added == added
        return float(np.average(self.margins[side] > 0, weights=self.weights[side]))

    def interval(self, *, added: bool) -> list[float]:
        """Return a 95 % interval of this share, drawing recordings anew."""
        side = self.is_added == added
        rows, numbers = np.unique(self.recordings[side], return_inverse=True)
        total = np.bincount(numbers, self.weights[side])
        fired = np.bincount(numbers, self.weights[side] * (self.margins[side] > 0))
        drawn = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
        shares = fired[drawn].sum(axis=1) / total[drawn].sum(axis=1)
        return [float(value) for value in np.percentile(shares, [2.5, 97.5])]

    def roc(self) -> Float[np.ndarray, " points"]:
        """Return the detections at each rate of false alarms of `ROC_POINTS`."""
        margins, weights, added = self.margins, self.weights, self.is_added
        bounds = weighted_quantiles(margins[~added], weights[~added], 1.0 - ROC_POINTS)
        over = margins[added] > bounds[:, np.newaxis]
        detections: np.ndarray = over @ weights[added] / weights[added].sum()
        detections[-1] = 1.0
        return detections


Judge = Callable[[Trials], Float[np.ndarray, " trials"]]
"""Gives the margins of trials."""


def measure(collection: Collection) -> dict[str, Any]:
    """Measure rates of false alarms and of detections, for a results file."""
    rows, curves = [], {}
    detectors = [_detector_without(collection, fold) for fold in range(FOLDS)]
    for n in COUNTS:
        for condition in CONDITIONS:
            trials = collection.trials(n, conditions=[condition])
            judged = _judge(collection, trials, [_judge_of(collection, d, n) for d in detectors])
            rows.append(_row(judged, n, condition, "others"))
            if condition == "plain":
                curves[str(n)] = _rounded(judged.roc())
    for condition in CONDITIONS[1:]:
        trials = collection.trials(1, conditions=[condition], against="itself")
        judged = _judge(collection, trials, [_judge_of(collection, d, 1) for d in detectors])
        rows.append(_row(judged, 1, condition, "itself"))
    norms = _judge(
        collection,
        collection.trials(1, conditions=["plain"]),
        [_norm_without(collection, fold) for fold in range(FOLDS)],
    )
    curves["relative_norm"] = _rounded(norms.roc())
    return {
        "excerpt_s": EXCERPT / SAMPLE_RATE,
        "snr_lu": SNR_LU,
        "false_alarm_rate": FALSE_ALARMS,
        "recordings": len(collection.material.recordings),
        "events": len(collection.material.events),
        "takes": len(collection.takes),
        "folds": FOLDS,
        "rates": rows,
        "relative_norm": _relative_norm_rows(collection),
        "roc": {"false_alarms": ROC_POINTS.tolist(), "detections": curves},
    }


def fit(collection: Collection, chosen: Bool[np.ndarray, " takes"]) -> ChangeDetector:
    """Fit and calibrate a detector on the trials whose takes are all among the chosen.

    Numbers of references that the recordings are too few or too short for are left out.

    Raises:
        DatasetError: They are for a single one.
    """
    folds = collection.folds
    trials = {n: _among(collection.trials(n), chosen) for n in COUNTS}
    trials = {n: each for n, each in trials.items() if _spans_folds(each, folds)}
    if 1 not in trials:
        raise DatasetError(
            "to calibrate, there must be recordings in two folds, each with two excerpts that do "
            "not overlap and an event to add"
        )
    nuisances = collection.nuisances()
    nuisances = nuisances[chosen[nuisances].all(axis=1)]
    return fit_detector(collection.embeddings, trials, nuisances, folds)


def _detector_without(collection: Collection, fold: int) -> ChangeDetector:
    folds = collection.folds
    others = np.array([folds[take.row] != fold for take in collection.takes])
    return fit(collection, others & collection.is_permissive)


def _norm_without(collection: Collection, fold: int) -> Judge:
    """Return a detector by the relative norm alone, with a threshold of the other folds."""
    trials = _among(collection.trials(1), collection.is_permissive)
    rest = trials.select((collection.folds[trials.recordings] != fold) & ~trials.is_added)
    (threshold,) = weighted_quantiles(_norms(collection, rest), rest.weights, [1 - FALSE_ALARMS])
    return lambda judged: _norms(collection, judged) - threshold


def _relative_norm_rows(collection: Collection) -> list[dict[str, Any]]:
    judges = [_norm_without(collection, fold) for fold in range(FOLDS)]
    return [
        _row(
            _judge(collection, collection.trials(1, conditions=[condition]), judges),
            1,
            condition,
            "others",
        )
        for condition in CONDITIONS
    ]


def _judge(collection: Collection, trials: Trials, judges: Sequence[Judge]) -> Judged:
    """Let each trial be judged by the detector that has not heard its fold."""
    folds = collection.folds[trials.recordings]
    margins = np.zeros(len(folds))
    for fold, judge in enumerate(judges):
        margins[folds == fold] = judge(trials.select(folds == fold))
    return Judged(margins, trials.is_added, trials.weights, trials.recordings)


def _judge_of(collection: Collection, detector: ChangeDetector, n: int) -> Judge:
    calibration = detector.calibration
    row = calibration.row(n)

    def judge(trials: Trials) -> Float[np.ndarray, " trials"]:
        found = features(detector.discriminant, collection.embeddings, trials)
        margins: np.ndarray = apply(calibration.weights[row], found) - calibration.thresholds[row]
        return margins

    return judge


def _norms(collection: Collection, trials: Trials) -> Float[np.ndarray, " trials"]:
    embeddings = collection.embeddings
    return np.array(
        [
            relative_norm(embeddings[mixture], embeddings[reference])
            for mixture, (reference,) in zip(trials.mixtures, trials.references, strict=True)
        ]
    )


def _row(judged: Judged, n: int, condition: Condition, against: Against) -> dict[str, Any]:
    return {
        "references": n,
        "condition": condition,
        "against": against,
        "recordings": len(np.unique(judged.recordings)),
        "trials": len(judged.margins),
        "false_alarms": round(judged.fired(added=False), 4),
        "false_alarms_95": _rounded(judged.interval(added=False)),
        "detections": round(judged.fired(added=True), 4),
        "detections_95": _rounded(judged.interval(added=True)),
    }


def _among(trials: Trials, chosen: Bool[np.ndarray, " takes"]) -> Trials:
    return trials.select(chosen[trials.mixtures] & chosen[trials.references].all(axis=1))


def _spans_folds(trials: Trials, folds: Int64[np.ndarray, " rows"]) -> bool:
    """Tell whether some of each side remain whatever fold is left out."""
    return all(
        len(np.unique(folds[trials.recordings[trials.is_added == side]])) >= 2
        for side in (False, True)
    )


def _rounded(values: Sequence[float] | Float[np.ndarray, " values"]) -> list[float]:
    return [round(float(value), 4) for value in values]
