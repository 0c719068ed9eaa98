"""Logistic regression from features of trials to the score of a direction."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize

PENALTY = 1e-4


def fit_weights(
    features: Float[np.ndarray, "trials features"],
    labels: Bool[np.ndarray, " trials"],
    shares: Float[np.ndarray, " trials"],
) -> Float[np.ndarray, " weights"]:
    """Fit a logistic regression; trials with and without the label weigh the same.

    Args:
        features: Of each trial.
        labels: What is to be told.
        shares: Weight of each trial among those with the same label.
    """
    centre = features.mean(axis=0)
    scale = np.maximum(features.std(axis=0), 1e-6)
    inputs = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    targets = labels.astype(np.float64)
    totals = [float(shares[labels == side].sum()) for side in (False, True)]
    balanced = shares / (2.0 * np.take(totals, labels.astype(int)))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ weights
        penalised = np.append(weights[:-1], 0.0)
        value = balanced @ (np.logaddexp(0.0, logits) - targets * logits)
        value += PENALTY * penalised @ penalised
        slope = inputs.T @ (balanced * (0.5 * (1.0 + np.tanh(0.5 * logits)) - targets))
        return float(value), slope + 2.0 * PENALTY * penalised

    fitted = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    weights: np.ndarray = fitted[:-1] / scale
    return np.append(weights, fitted[-1] - weights @ centre)
