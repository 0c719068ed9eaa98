"""Linear probe without random numbers: multinomial logistic regression on frozen features.

The strength of its regularisation is chosen by the training rows alone. The paper's probe, with
Adam and early stopping, is ``training.evaluation.probe``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import minimize
from scipy.special import logsumexp

STRENGTHS = tuple(float(10.0 ** (k / 2)) for k in range(-8, 4))
"""Candidates of ``C``, the inverse of the strength, from 1e-4 to about 30."""
PATIENCE = 2  # candidates in turn that are no better, after which weaker ones are not tried
INNER_FOLDS = 3
ITERATIONS = 300
SMALLEST_STD = 1e-8  # a feature of a smaller deviation is not scaled

Rows = Int64[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Result of a probe.

    Attributes:
        is_right: Of each test row, whether its class was found.
        strength: The chosen ``C``.
    """

    is_right: Bool[np.ndarray, " test"]
    strength: float


def run_logistic_probe(
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    train: Rows,
    test: Rows,
    inner: Sequence[tuple[Rows, Rows]],
) -> ProbeResult:
    """Choose ``C`` inside the training rows, fit on all of them, and classify the test rows.

    Args:
        features: One row for each clip; may be mapped into memory from a file.
        labels: Class of every row, from 0.
        train: Rows for training.
        test: Rows for testing.
        inner: Divisions of the training rows into rows to fit on and rows to compare candidates
            of ``C`` on. The candidate with most rows right wins; of equals, the stronger one.
    """
    n_classes = int(labels.max()) + 1
    paths = [_predict_path(features, labels, fit, held, n_classes) for fit, held in inner]
    best, chosen, waited = -1, 0, 0
    for number, predicted in enumerate(zip(*paths, strict=True)):
        right = sum(
            int((found == labels[held]).sum())
            for found, (_, held) in zip(predicted, inner, strict=True)
        )
        waited = 0 if right > best else waited + 1
        if right > best:
            best, chosen = right, number
        if waited >= PATIENCE:
            break
    path = _predict_path(features, labels, train, test, n_classes, STRENGTHS[: chosen + 1])
    *_, found = path
    return ProbeResult(found == labels[test], STRENGTHS[chosen])


def grouped_folds(rows: Rows, groups: Sequence[str], seed: int) -> list[tuple[Rows, Rows]]:
    """Divide rows three times into two thirds to fit on and one third to compare on.

    Args:
        rows: The rows.
        groups: Group of every clip, such as its recording; a group is never divided.
        seed: Of the draw.
    """
    names, of_row = np.unique([groups[row] for row in rows], return_inverse=True)
    folds = np.random.default_rng(seed).permutation(names.size) % INNER_FOLDS
    of_rows = folds[of_row]
    return [(rows[of_rows != fold], rows[of_rows == fold]) for fold in range(INNER_FOLDS)]


def _predict_path(
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    train: Rows,
    test: Rows,
    n_classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Iterator[Int64[np.ndarray, " test"]]:
    """Predict the classes of test rows with every ``C``; each fit starts from the one before."""
    inputs, tested = _standardise(features[train], features[test])
    inputs, tested = _rotate(inputs, tested)
    weights = np.zeros((inputs.shape[1] + 1, n_classes))
    for strength in strengths:
        weights = fit_logistic(inputs, labels[train], strength, weights)
        yield (tested @ weights[:-1] + weights[-1]).argmax(axis=1)


def fit_logistic(
    features: Float[np.ndarray, "rows dim"],
    labels: Int64[np.ndarray, " rows"],
    strength: float,
    start: Float[np.ndarray, "inputs classes"],
) -> Float[np.ndarray, "inputs classes"]:
    """Minimise the sum of cross-entropies plus ``|W|^2 / (2 C)``; the biases cost nothing.

    Args:
        features: Standardised features.
        labels: Class of every row, from 0.
        strength: ``C``.
        start: First weights; the last row holds the biases.

    Returns:
        The weights; the last row holds the biases.
    """
    wanted = np.eye(start.shape[1])[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        logits = features @ weights[:-1] + weights[-1]
        total = logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(logits - total) - wanted
        value = float(total.sum() - (logits * wanted).sum())
        value += float(np.square(weights[:-1]).sum()) / (2.0 * strength)
        slope = np.vstack([features.T @ error + weights[:-1] / strength, error.sum(axis=0)])
        return value / len(labels), slope.ravel() / len(labels)

    options = {"maxiter": ITERATIONS, "ftol": 1e-9, "gtol": 1e-6}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x
    weights: np.ndarray = found.reshape(start.shape)
    return weights


def _standardise(
    train: Float32[np.ndarray, "train dim"], test: Float32[np.ndarray, "test dim"]
) -> tuple[Float[np.ndarray, "train dim"], Float[np.ndarray, "test dim"]]:
    """Give the training rows mean 0 and deviation 1, and transform the test rows alike."""
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    std = np.where(std > SMALLEST_STD, std, 1.0)
    return (train - mean) / std, (test - mean) / std


def _rotate(
    train: Float[np.ndarray, "train dim"], test: Float[np.ndarray, "test dim"]
) -> tuple[Float[np.ndarray, "train rank"], Float[np.ndarray, "test rank"]]:
    """Rotate features into the space of the training rows, where that has fewer dimensions.

    The weights of a regression with a penalty on their length are a combination of the training
    rows, so the predictions stay the same.
    """
    if train.shape[1] <= train.shape[0]:
        return train, test
    values, vectors = np.linalg.eigh(train @ train.T)
    kept = values > values[-1] * 1e-10
    scale = np.sqrt(values[kept])
    axes = train.T @ (vectors[:, kept] / scale)
    return vectors[:, kept] * scale, test @ axes
