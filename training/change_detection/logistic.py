"""From features to a score: a logistic regression."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from training.change_detection.trials import Trials

PENALTY = 1e-3


def fit_weights(
    found: Float[np.ndarray, "trials features"], trials: Trials
) -> Float[np.ndarray, " weights"]:
    """Fit a logistic regression that tells added sounds from none; both sides count alike."""
    scale = np.maximum(found.std(axis=0), 1e-6)
    inputs = np.column_stack([found / scale, np.ones(len(found))])
    labels = trials.is_added.astype(np.float64)
    of_side = [float(trials.weights[trials.is_added == side].sum()) for side in (False, True)]
    shares = trials.weights / (2.0 * np.take(of_side, trials.is_added.astype(int)))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = inputs @ weights
        penalised = np.append(weights[:-1], 0.0)
        value = shares @ (np.logaddexp(0.0, odds) - labels * odds) + PENALTY * penalised @ penalised
        slope = inputs.T @ (shares * (1.0 / (1.0 + np.exp(-odds)) - labels))
        return float(value), slope + 2.0 * PENALTY * penalised

    fitted = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    weights: np.ndarray = fitted / np.append(scale, 1.0)
    return weights


def apply(
    weights: Float[np.ndarray, " weights"], found: Float[np.ndarray, "trials features"]
) -> Float[np.ndarray, " trials"]:
    """Return the scores of trials."""
    scores: np.ndarray = found @ weights[:-1] + weights[-1]
    return scores
