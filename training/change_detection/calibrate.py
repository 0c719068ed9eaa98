"""Fit a detector of changes and calibrate it by cross-validation over recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64

from service.retrieval.change_detector import Calibration, ChangeDetector, Discriminant
from training.change_detection.dataset import REFERENCE_COUNTS, DetectionDataset
from training.change_detection.discriminant import Embeddings, fit_discriminant, trial_features
from training.change_detection.logistic import fit_weights, score
from training.change_detection.trials import DetectionTrials
from training.errors import DatasetError

FALSE_ALARM_RATE = 0.05
N_QUANTILES = 201


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
    return fit_detector(dataset.embeddings, trials, nuisances, folds)


def fit_detector(
    embeddings: Embeddings,
    trials: Mapping[int, DetectionTrials],
    nuisances: Int64[np.ndarray, "pairs two"],
    folds: Int64[np.ndarray, " recordings"],
) -> ChangeDetector:
    """Fit a detector to trials and set its thresholds by cross-validation over folds.

    Args:
        embeddings: Of all excerpts.
        trials: By the number of their references.
        nuisances: Pairs of excerpts that differ by level, codec or a shift alone.
        folds: Fold of each recording, by its row in the store.
    """
    trial_folds = {n: folds[of_n.recordings] for n, of_n in trials.items()}
    pair_folds = _folds_of_pairs(nuisances, trials[1], folds)
    scores = {n: np.zeros(len(of_n.mixtures)) for n, of_n in trials.items()}
    for fold in np.unique(trial_folds[1]):
        rest = {n: of_n.select(trial_folds[n] != fold) for n, of_n in trials.items()}
        discriminant = fit_discriminant(embeddings, rest[1], nuisances[pair_folds != fold])
        for n, of_n in trials.items():
            weights = fit_weights(trial_features(discriminant, embeddings, rest[n]), rest[n])
            left_out = of_n.select(trial_folds[n] == fold)
            features = trial_features(discriminant, embeddings, left_out)
            scores[n][trial_folds[n] == fold] = score(weights, features)
    discriminant = fit_discriminant(embeddings, trials[1], nuisances)
    return ChangeDetector(discriminant, _calibrate(discriminant, embeddings, trials, scores))


def _calibrate(
    discriminant: Discriminant,
    embeddings: Embeddings,
    trials: Mapping[int, DetectionTrials],
    scores: Mapping[int, Float[np.ndarray, " trials"]],
) -> Calibration:
    weights, quantiles, thresholds = [], [], []
    for n, of_n in trials.items():
        weights.append(fit_weights(trial_features(discriminant, embeddings, of_n), of_n))
        unchanged = ~of_n.is_added
        weighted = scores[n][unchanged], of_n.weights[unchanged]
        quantiles.append(weighted_quantiles(*weighted, np.linspace(0.0, 1.0, N_QUANTILES)))
        thresholds.append(weighted_quantiles(*weighted, [1.0 - FALSE_ALARM_RATE])[0])
    return Calibration(
        counts=np.array(list(trials), np.int64),
        weights=np.stack(weights),
        quantiles=np.stack(quantiles),
        thresholds=np.array(thresholds),
        known_score=0.0,
    )


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


def _folds_of_pairs(
    nuisances: Int64[np.ndarray, "pairs two"],
    trials: DetectionTrials,
    folds: Int64[np.ndarray, " rows"],
) -> Int64[np.ndarray, " pairs"]:
    """Return the fold of each pair of excerpts; -1 for a recording without trials."""
    known = dict(zip(trials.mixtures.tolist(), folds[trials.recordings].tolist(), strict=True))
    return np.array([known.get(number, -1) for number in nuisances[:, 0].tolist()], np.int64)


def _spans_folds(trials: DetectionTrials, folds: Int64[np.ndarray, " rows"]) -> bool:
    """Tell whether trials with, and without, an event remain whichever fold is left out."""
    return all(
        len(np.unique(folds[trials.recordings[trials.is_added == added]])) >= 2
        for added in (False, True)
    )
