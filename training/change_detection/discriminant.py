"""Fit the discriminant: covariances of differences of embeddings, without and with a change."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.retrieval.change_detector import Discriminant
from training.change_detection.trials import DetectionTrials

AXES = 64
SHRINKAGE = 0.3  # of a covariance, towards a multiple of the identity
NUISANCE = 10.0  # factor of the covariance of changes of level, codec or place
EIGEN_ROWS = 1500  # most rows that the principal axes are computed from

Embeddings = Float32[np.ndarray, "excerpts dim"]


def fit_discriminant(
    embeddings: Embeddings, trials: DetectionTrials, nuisances: Int64[np.ndarray, "pairs two"]
) -> Discriminant:
    """Fit the covariances of differences, without and with an added sound.

    Args:
        embeddings: Of all excerpts.
        trials: Trials of one reference.
        nuisances: Pairs of excerpts that differ by level, codec or a shift alone.
    """
    rows = np.unique(np.concatenate([trials.mixtures, trials.references.ravel()]))
    origin, axes = principal_axes(embeddings[rows])
    projected = (embeddings - origin) @ axes
    differences = projected[trials.mixtures] - projected[trials.references[:, 0]]
    differences = differences.astype(np.float64)
    changes = (projected[nuisances[:, 0]] - projected[nuisances[:, 1]]).astype(np.float64)
    nuisance = NUISANCE * changes.T @ changes / max(len(changes), 1)
    is_added, weights = trials.is_added, trials.weights
    shift = np.average(differences[is_added], axis=0, weights=weights[is_added])
    unchanged = _covariance(differences[~is_added], weights[~is_added])
    added = _covariance(differences[is_added] - shift, weights[is_added])
    return Discriminant(
        origin=origin,
        axes=axes,
        unchanged=np.linalg.inv(_shrunk(unchanged) + nuisance),
        added=np.linalg.inv(_shrunk(added) + nuisance),
        shift=shift,
    )


def principal_axes(
    embeddings: Embeddings,
) -> tuple[Float32[np.ndarray, " dim"], Float32[np.ndarray, "dim axes"]]:
    """Compute the mean of embeddings and their first principal axes."""
    origin = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    step = -(-len(embeddings) // EIGEN_ROWS)
    centred = (embeddings[::step] - origin).astype(np.float64)
    # The Gram matrix is smaller than the covariance and has the same nonzero eigenvalues.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    n_axes = min(AXES, int((values > values[-1] * 1e-10).sum()))
    scaled = vectors[:, ::-1][:, :n_axes] / np.sqrt(values[::-1][:n_axes])
    return origin, (centred.T @ scaled).astype(np.float32)


def trial_features(
    discriminant: Discriminant, embeddings: Embeddings, trials: DetectionTrials
) -> Float[np.ndarray, "trials features"]:
    """Compute the features of trials."""
    projected = discriminant.project(embeddings)
    mixtures, references = projected[trials.mixtures], projected[trials.references]
    found: np.ndarray = discriminant.features(mixtures, references)
    return found


def _covariance(
    rows: Float[np.ndarray, "rows axes"], weights: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, "axes axes"]:
    covariance: np.ndarray = (rows * (weights / weights.sum())[:, np.newaxis]).T @ rows
    return covariance


def _shrunk(covariance: Float[np.ndarray, "axes axes"]) -> Float[np.ndarray, "axes axes"]:
    n_axes = len(covariance)
    even = np.eye(n_axes) * np.trace(covariance) / n_axes
    shrunk: np.ndarray = (1.0 - SHRINKAGE) * covariance + SHRINKAGE * even
    return shrunk
