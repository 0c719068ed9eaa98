"""Measure detectors by cross-validation over folds of recordings and events.

For each of the five folds, a detector is fitted and calibrated on the four others, on permissive
clips alone as for a shipped bundle, and decides on the trials of this fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from service.difference import relative_norm
from service.retrieval.change_calibration import CHANGES, What, name_changes
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import FALSE_ALARM_RATE, fit, weighted_quantiles
from training.change_detection.dataset import REFERENCE_COUNTS, DetectionDataset
from training.change_detection.excerpts import CONDITIONS, EXCERPT_SAMPLES, FOLDS
from training.change_detection.features import (
    ExcerptEmbeddings,
    clip_features,
    prepare_for,
    window_features,
)
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
        margins: Scores minus the thresholds of the detector, by direction: added and, unless only
            that is detected, removed [directions trials].
        numbers: Answers, as numbers in `CHANGES` [trials].
    """

    trials: DetectionTrials
    margins: Float[np.ndarray, "directions trials"]
    numbers: Int64[np.ndarray, " trials"]

    def answers(self, answer: What) -> Bool[np.ndarray, " trials"]:
        """Tell which trials get an answer."""
        found: np.ndarray = self.numbers == CHANGES.index(answer)
        return found

    def share(
        self, fired: Bool[np.ndarray, " trials"], change: What
    ) -> tuple[float, tuple[float, float]]:
        """Return the share of fired trials among those with a change, and its 95 % interval.

        The interval is by a bootstrap over recordings.
        """
        side = self.trials.of(change)
        weights = self.trials.weights[side]
        rows, numbers = np.unique(self.trials.recordings[side], return_inverse=True)
        total = np.bincount(numbers, weights)
        over = np.bincount(numbers, weights * fired[side])
        drawn = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
        shares = over[drawn].sum(axis=1) / total[drawn].sum(axis=1)
        low, high = np.percentile(shares, [2.5, 97.5])
        return float(over.sum() / total.sum()), (float(low), float(high))

    def roc(self) -> Float[np.ndarray, " points"]:
        """Return the share of changes found among additions, at each rate of `ROC_POINTS`."""
        margins, weights = self.margins.max(axis=0), self.trials.weights
        unchanged, added = self.trials.of("nothing"), self.trials.of("added")
        bounds = weighted_quantiles(margins[unchanged], weights[unchanged], 1.0 - ROC_POINTS)
        over = margins[added] > bounds[:, np.newaxis]
        detections: np.ndarray = over @ weights[added] / weights[added].sum()
        detections[-1] = 1.0
        return detections

    def one_sided(self) -> float:
        """Return the share of additions found by the score of additions alone."""
        margins, weights = self.margins[0], self.trials.weights
        unchanged, added = self.trials.of("nothing"), self.trials.of("added")
        share = [1.0 - FALSE_ALARM_RATE]
        (bound,) = weighted_quantiles(margins[unchanged], weights[unchanged], share)
        return float(np.average(margins[added] > bound, weights=weights[added]))

    def figures(self) -> dict[str, Any]:
        """Return rates of false alarms and of detections with their intervals.

        A detection is an addition that is answered by "added" or "both". ``one_sided`` is the share
        of additions that score higher, as additions, than all but the stated share of the unchanged
        trials of this table.
        """
        has_added = self.answers("added") | self.answers("both")
        return {
            "recordings": len(np.unique(self.trials.recordings)),
            "trials": int((self.trials.of("nothing") | self.trials.of("added")).sum()),
            **_with_interval("false_alarms", self.share(self.numbers > 0, "nothing")),
            **_with_interval("detections", self.share(has_added, "added")),
            "one_sided": round(self.one_sided(), 4),
        }

    def confusion(self) -> list[dict[str, Any]]:
        """Return for each change the shares of the answers, with the interval of the right one."""
        rows: list[dict[str, Any]] = []
        for change in CHANGES:
            if self.trials.of(change).any():
                answers = {each: self.share(self.answers(each), change) for each in CHANGES}
                shares = {each: round(share, 4) for each, (share, _) in answers.items()}
                row = {"change": change, "answers": shares}
                rows.append(row | _with_interval("right", answers[change]))
        return rows


Scorer = Callable[[DetectionTrials], ScoredTrials]
"""Decides on trials."""


def measure(dataset: DetectionDataset) -> dict[str, Any]:
    """Measure rates of false alarms and of detections, for a results file."""
    detectors = [_fit_without(dataset, fold) for fold in range(FOLDS)]
    pairs = [(detector, _prepare(dataset, detector)) for detector in detectors]
    by_norm = [_norm_scorer(dataset, fold) for fold in range(FOLDS)]
    rates, without_windows, directions, curves = [], [], [], {}
    for n in REFERENCE_COUNTS:
        scorers = [_detector_scorer(*pair, n) for pair in pairs]
        rows, curves[str(n)] = _rates(dataset, n, scorers)
        rates += rows
        plain = _cross_validate(dataset, dataset.trials(n, conditions=["plain"]), scorers)
        directions += [{"references": n} | row for row in plain.confusion()]
        by_clip = [_detector_scorer(*pair, n, with_windows=False) for pair in pairs]
        rows, curve = _rates(dataset, n, by_clip)
        without_windows += rows
        if n == 1:
            curves["without windows"] = curve
            for condition in CONDITIONS[1:]:
                trials = dataset.trials(1, conditions=[condition], against="itself")
                row = {"references": 1, "condition": condition, "against": "itself"}
                rates.append(row | _cross_validate(dataset, trials, scorers).figures())
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
        "directions": directions,
        "without_windows": without_windows,
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


def _prepare(dataset: DetectionDataset, detector: ChangeDetector) -> ExcerptEmbeddings:
    part = detector.parts.discriminant
    assert part.scale is not None
    return prepare_for(dataset.embeddings, dataset.windows, part.origin, part.axes, part.scale)


def _detector_scorer(
    detector: ChangeDetector, excerpts: ExcerptEmbeddings, n: int, *, with_windows: bool = True
) -> Scorer:
    parts = detector.parts
    calibration = parts.windows if with_windows else parts.clips
    assert calibration is not None

    def scored(trials: DetectionTrials) -> ScoredTrials:
        features = clip_features(parts.discriminant, excerpts, trials)
        if with_windows:
            found = window_features(parts.discriminant, excerpts, trials)
            features = np.concatenate([features, found], axis=1)
        row = calibration.row(n)
        margins = calibration.scores(features, n) - calibration.thresholds[:, [row]]
        numbers = name_changes(margins, float(calibration.balances[row]))
        return ScoredTrials(trials, margins, numbers)

    return scored


def _norm_scorer(dataset: DetectionDataset, fold: int) -> Scorer:
    """Score by the relative norm alone, with a threshold of the other folds."""
    trials = dataset.trials(1).among(dataset.is_permissive)
    is_other = dataset.folds[trials.recordings] != fold
    rest = trials.select(is_other & trials.of("nothing"))
    norms, share = _norms(dataset, rest), 1 - FALSE_ALARM_RATE
    (threshold,) = weighted_quantiles(norms, rest.weights, [share])

    def scored(trials: DetectionTrials) -> ScoredTrials:
        margins = (_norms(dataset, trials) - threshold)[np.newaxis]
        return ScoredTrials(trials, margins, name_changes(margins, 0.0))

    return scored


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
    parts = [scorer(trials.select(folds == fold)) for fold, scorer in enumerate(scorers)]
    order = np.argsort(np.concatenate([np.flatnonzero(folds == i) for i in range(len(scorers))]))
    margins = np.concatenate([part.margins for part in parts], axis=1)[:, order]
    return ScoredTrials(trials, margins, np.concatenate([part.numbers for part in parts])[order])


def _rounded(values: Sequence[float] | Float[np.ndarray, " values"]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _with_interval(name: str, share: tuple[float, tuple[float, float]]) -> dict[str, Any]:
    return {name: round(share[0], 4), f"{name}_95": _rounded(share[1])}
