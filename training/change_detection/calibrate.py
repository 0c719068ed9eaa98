"""Fits a detector, and calibrates it on trials of recordings that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int64

from service.retrieval.change_detector import Calibration, ChangeDetector, Discriminant
from training.change_detection.discriminant import Embeddings, features, fit_discriminant
from training.change_detection.logistic import apply, fit_weights
from training.change_detection.trials import Trials

FALSE_ALARMS = 0.05
SHARES = 201


def fit_detector(
    embeddings: Embeddings,
    trials: Mapping[int, Trials],
    nuisances: Int64[np.ndarray, "pairs two"],
    folds: Int64[np.ndarray, " recordings"],
) -> ChangeDetector:
    """Fit a detector to trials and set its thresholds by cross-validation over recordings.

    Args:
        embeddings: Of all takes.
        trials: By the number of their references.
        nuisances: Pairs of takes of the same excerpt that differ by level, codec or a shift alone.
        folds: Fold of each recording, by its row in the store.
    """
    chosen = {n: folds[each.recordings] for n, each in trials.items()}
    pair_folds = folds_of_pairs(nuisances, trials[1], folds)
    scores = {n: np.zeros(len(each.mixtures)) for n, each in trials.items()}
    for fold in np.unique(chosen[1]):
        part = {n: each.select(chosen[n] != fold) for n, each in trials.items()}
        discriminant = fit_discriminant(embeddings, part[1], nuisances[pair_folds != fold])
        for n, each in trials.items():
            left_out = each.select(chosen[n] == fold)
            weights = fit_weights(features(discriminant, embeddings, part[n]), part[n])
            scores[n][chosen[n] == fold] = apply(
                weights, features(discriminant, embeddings, left_out)
            )
    discriminant = fit_discriminant(embeddings, trials[1], nuisances)
    return ChangeDetector(discriminant, _calibrate(discriminant, embeddings, trials, scores))


def _calibrate(
    discriminant: Discriminant,
    embeddings: Embeddings,
    trials: Mapping[int, Trials],
    scores: Mapping[int, Float[np.ndarray, " trials"]],
) -> Calibration:
    weights, quantiles, thresholds = [], [], []
    for n, each in trials.items():
        weights.append(fit_weights(features(discriminant, embeddings, each), each))
        unchanged = ~each.is_added
        found = scores[n][unchanged], each.weights[unchanged]
        quantiles.append(weighted_quantiles(*found, np.linspace(0.0, 1.0, SHARES)))
        thresholds.append(weighted_quantiles(*found, [1.0 - FALSE_ALARMS])[0])
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
    """Return the values that these shares of the weight stay below."""
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    found: np.ndarray = np.interp(np.asarray(shares) * weights.sum(), middle, values[order])
    return found


def folds_of_pairs(
    nuisances: Int64[np.ndarray, "pairs two"], trials: Trials, folds: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " pairs"]:
    """Return the fold of each pair of takes; -1 for a recording that no trial is of."""
    known = dict(zip(trials.mixtures.tolist(), folds[trials.recordings].tolist(), strict=True))
    return np.array([known.get(row, -1) for row in nuisances[:, 0].tolist()], np.int64)
