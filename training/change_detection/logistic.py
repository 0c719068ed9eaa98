"""Logistic regression from features of trials to a score."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from training.change_detection.trials import DetectionTrials

PENALTY = 1e-3


def fit_weights(
    features: Float[np.ndarray, "trials features"], trials: DetectionTrials
) -> Float[np.ndarray, " weights"]:
    """Fit a logistic regression of added sounds; trials with and without one weigh the same."""
    scale = np.maximum(features.std(axis=0), 1e-6)
    inputs = np.column_stack([features / scale, np.ones(len(features))])
    labels = trials.is_added.astype(np.float64)
    totals = [float(trials.weights[trials.is_added == side].sum()) for side in (False, True)]
    shares = trials.weights / (2.0 * np.take(totals, trials.is_added.astype(int)))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ weights
        penalised = np.append(weights[:-1], 0.0)
        value = shares @ (np.logaddexp(0.0, logits) - labels * logits)
        value += PENALTY * penalised @ penalised
        slope = inputs.T @ (shares * (1.0 / (1.0 + np.exp(-logits)) - labels))
        return float(value), slope + 2.0 * PENALTY * penalised

    fitted = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    weights: np.ndarray = fitted / np.append(scale, 1.0)
    return weights


def score(
    weights: Float[np.ndarray, " weights"], features: Float[np.ndarray, "trials features"]
) -> Float[np.ndarray, " trials"]:
    """Compute the scores of trials."""
    scores: np.ndarray = features @ weights[:-1] + weights[-1]
    return scores
