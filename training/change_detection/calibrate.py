"""Fit a detector of changes and calibrate it by cross-validation over recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64

from service.retrieval.change_calibration import CHANGES, Calibration, What, name_changes
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.change_features import Discriminant, exchange
from service.retrieval.change_file import DetectorParts
from training.change_detection.dataset import REFERENCE_COUNTS, DetectionDataset
from training.change_detection.discriminant import fit_discriminant
from training.change_detection.features import (
    ExcerptEmbeddings,
    clip_features,
    prepare,
    window_features,
)
from training.change_detection.logistic import fit_weights
from training.change_detection.trials import DetectionTrials
from training.errors import DatasetError

FALSE_ALARM_RATE = 0.05
N_QUANTILES = 201
BISECTIONS = 30
BALANCES = 21
DIRECTION_VALUES: Mapping[What, float] = {"added": 1.0, "removed": 1.0, "both": 1.0}

Features = Float[np.ndarray, "trials features"]


def fit(dataset: DetectionDataset, chosen: Bool[np.ndarray, " excerpts"]) -> ChangeDetector:
    """Fit and calibrate a detector on the trials whose excerpts are all among the chosen ones.

    Numbers of references for which there are too few trials are left out.

    Args:
        dataset: All excerpts.
        chosen: The excerpts that may be used.

    Raises:
        DatasetError: There are too few trials of one reference.
    """
    folds = dataset.folds
    trials = {n: dataset.trials(n).among(chosen) for n in REFERENCE_COUNTS}
    trials = {n: of_n for n, of_n in trials.items() if _spans_folds(of_n, folds)}
    if 1 not in trials:
        raise DatasetError(
            "to calibrate, there must be recordings in two folds, each with two excerpts that do "
            "not overlap and an event to add"
        )
    nuisances = dataset.nuisances()
    nuisances = nuisances[chosen[nuisances].all(axis=1)]
    rows = np.unique(np.concatenate([trials[1].mixtures, trials[1].references.ravel()]))
    excerpts = prepare(dataset.embeddings, dataset.windows, rows)
    return fit_detector(excerpts, trials, nuisances, folds)


def fit_detector(
    excerpts: ExcerptEmbeddings,
    trials: Mapping[int, DetectionTrials],
    nuisances: Int64[np.ndarray, "pairs two"],
    folds: Int64[np.ndarray, " recordings"],
) -> ChangeDetector:
    """Fit a detector to trials and set its thresholds by cross-validation over folds.

    Args:
        excerpts: All excerpts.
        trials: By the number of their references.
        nuisances: Pairs of excerpts that differ by level, codec or a shift alone.
        folds: Fold of each recording, by its row in the store.
    """
    pair_folds = _folds_of_pairs(nuisances, trials[1], folds)
    discriminants = {}
    for fold in np.unique(folds[trials[1].recordings]):
        rest = trials[1].select(folds[trials[1].recordings] != fold)
        discriminants[int(fold)] = fit_discriminant(excerpts, rest, nuisances[pair_folds != fold])
    final = fit_discriminant(excerpts, trials[1], nuisances)

    of_windows = {n: window_features(final, excerpts, of_n) for n, of_n in trials.items()}

    def calibrate(*, with_windows: bool) -> Calibration:
        def features(discriminant: Discriminant, n: int) -> Features:
            found = clip_features(discriminant, excerpts, trials[n])
            return np.concatenate([found, of_windows[n]], axis=1) if with_windows else found

        rows = [
            _calibrate(
                of_n,
                features(final, n),
                {fold: features(each, n) for fold, each in discriminants.items()},
                folds[of_n.recordings],
            )
            for n, of_n in trials.items()
        ]
        weights, thresholds, quantiles, margins, balances = zip(*rows, strict=True)
        return Calibration(
            counts=np.array(list(trials), np.int64),
            weights=np.stack(weights, axis=1),
            thresholds=np.stack(thresholds, axis=1),
            quantiles=np.stack(quantiles, axis=1),
            margins=np.stack(margins),
            balances=np.array(balances),
        )

    clips, windows = calibrate(with_windows=False), calibrate(with_windows=True)
    return ChangeDetector(DetectorParts(final, clips, windows))


def _calibrate(
    trials: DetectionTrials,
    features: Features,
    by_fold: Mapping[int, Features],
    trial_folds: Int64[np.ndarray, " trials"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return weights, thresholds, quantiles, margins and balance for one number of references.

    Args:
        trials: The trials.
        features: By the discriminant of all folds.
        by_fold: By the discriminants that were fitted without a fold.
        trial_folds: Fold of each trial.
    """
    scores = np.zeros((2, len(features)))
    for fold, of_fold in by_fold.items():
        left_out = trial_folds == fold
        if left_out.any():
            weights = _fit_directions(of_fold[~left_out], trials.select(~left_out))
            scores[:, left_out] = direction_scores(weights, of_fold[left_out])
    unchanged = trials.of("nothing")
    known, shares = scores[:, unchanged], trials.weights[unchanged]
    thresholds = joint_thresholds(known, shares, FALSE_ALARM_RATE)
    margins = scores - thresholds[:, np.newaxis]
    evenly = np.linspace(0.0, 1.0, N_QUANTILES)
    return (
        _fit_directions(features, trials),
        thresholds,
        np.stack([weighted_quantiles(each, shares, evenly) for each in known]),
        weighted_quantiles(margins[:, unchanged].max(axis=0), shares, evenly),
        best_balance(margins, trials),
    )


def best_balance(margins: Float[np.ndarray, "directions trials"], trials: DetectionTrials) -> float:
    """Find the balance at which most changes that are found have the right direction.

    The three kinds of change count the same.
    """
    found = margins.max(axis=0) > 0
    leads = np.abs(margins[0] - margins[1])[found & trials.of("both")]
    candidates = [0.0]
    if leads.size:
        quantiles = np.quantile(leads, np.linspace(0.0, 1.0, BALANCES))
        candidates += np.nextafter(quantiles, np.inf).tolist()

    def right(balance: float) -> float:
        numbers = name_changes(margins, balance)
        total = 0.0
        for change, value in DIRECTION_VALUES.items():
            side = trials.of(change) & found
            if side.any():
                is_right = numbers[side] == CHANGES.index(change)
                total += value * float(np.average(is_right, weights=trials.weights[side]))
        return total

    return float(max(candidates, key=right))


def _fit_directions(
    features: Features, trials: DetectionTrials
) -> Float[np.ndarray, "directions weights"]:
    """Fit the score of each direction against unchanged trials.

    With one reference the directions are the same with the sides exchanged, so they share weights.
    """
    sides: list[tuple[Features, What]] = [(features, "added"), (exchange(features), "removed")]
    parts = []
    for side, change in sides:
        labels = trials.of(change)
        used = labels | trials.of("nothing")
        parts.append((side[used], labels[used], trials.weights[used]))
    if trials.references.shape[1] == 1:
        both = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return np.stack([fit_weights(*both)] * 2)
    return np.stack([fit_weights(*part) for part in parts])


def direction_scores(
    weights: Float[np.ndarray, "directions weights"],
    features: Features,
) -> Float[np.ndarray, "directions trials"]:
    """Compute the scores of trials for both directions."""
    sides = (features, exchange(features))
    return np.stack(
        [side @ each[:-1] + each[-1] for side, each in zip(sides, weights, strict=True)]
    )


def joint_thresholds(
    scores: Float[np.ndarray, "directions trials"],
    weights: Float[np.ndarray, " trials"],
    rate: float,
) -> Float[np.ndarray, " directions"]:
    """Compute thresholds that unchanged trials pass in either direction at a rate.

    Each direction alone is passed by the same share.

    Args:
        scores: Of unchanged trials.
        weights: Of the trials.
        rate: Share of the weight of the trials with a score over its threshold.
    """
    low, high = 0.0, rate
    thresholds = _quantile_of_each(scores, weights, 1.0 - high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        thresholds = _quantile_of_each(scores, weights, 1.0 - middle)
        over = (scores > thresholds[:, np.newaxis]).any(axis=0)
        if np.average(over, weights=weights) > rate:
            high = middle
        else:
            low = middle
    return thresholds


def weighted_quantiles(
    values: Float[np.ndarray, " values"],
    weights: Float[np.ndarray, " values"],
    shares: Sequence[float] | Float[np.ndarray, " shares"],
) -> Float[np.ndarray, " shares"]:
    """Compute the values below which the given shares of the weight lie."""
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    found: np.ndarray = np.interp(np.asarray(shares) * weights.sum(), middle, values[order])
    return found


def _quantile_of_each(
    scores: Float[np.ndarray, "directions trials"],
    weights: Float[np.ndarray, " trials"],
    share: float,
) -> Float[np.ndarray, " directions"]:
    return np.array([weighted_quantiles(each, weights, [share])[0] for each in scores])


def _folds_of_pairs(
    nuisances: Int64[np.ndarray, "pairs two"],
    trials: DetectionTrials,
    folds: Int64[np.ndarray, " rows"],
) -> Int64[np.ndarray, " pairs"]:
    """Return the fold of each pair of excerpts; -1 for a recording without trials."""
    known = dict(zip(trials.mixtures.tolist(), folds[trials.recordings].tolist(), strict=True))
    return np.array([known.get(number, -1) for number in nuisances[:, 0].tolist()], np.int64)


def _spans_folds(trials: DetectionTrials, folds: Int64[np.ndarray, " rows"]) -> bool:
    """Tell whether trials with every change remain whichever fold is left out."""
    return all(
        len(np.unique(folds[trials.recordings[trials.of(change)]])) >= 2
        for change in ("nothing", "added", "removed", "both")
    )
