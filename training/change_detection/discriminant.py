"""Fit the discriminant: covariances of differences of embeddings, without and with a change."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from service.retrieval.change_features import Discriminant
from training.change_detection.features import ProjectedExcerpts
from training.change_detection.trials import DetectionTrials

SHRINKAGE = 0.3  # of a covariance, towards a multiple of the identity
NUISANCE = 10.0  # factor of the covariance of changes of level, codec or place


def fit_discriminant(
    projected: ProjectedExcerpts, trials: DetectionTrials, nuisances: Int64[np.ndarray, "pairs two"]
) -> Discriminant:
    """Fit the covariances of differences, without and with an added sound.

    Args:
        projected: All excerpts.
        trials: Trials of one reference.
        nuisances: Pairs of excerpts that differ by level, codec or a shift alone.
    """
    unchanged, added = (trials.select(trials.of(change)) for change in ("nothing", "added"))
    clips, windows = projected.clips, projected.windows
    differences = clips[added.mixtures] - clips[added.references[:, 0]]
    shift = np.average(differences, axis=0, weights=added.weights)
    nuisance = _nuisance(clips, nuisances)
    return Discriminant(
        origin=projected.origin,
        axes=projected.axes,
        unchanged=_inverse(_differences(clips, unchanged), unchanged.weights, nuisance),
        added=_inverse(differences - shift, added.weights, nuisance),
        shift=shift,
        windows=_inverse(
            _differences(windows, unchanged).reshape(-1, clips.shape[1]),
            np.repeat(unchanged.weights, windows.shape[1]),
            _nuisance(windows, nuisances),
        ),
    )


def _differences(
    sounds: Float[np.ndarray, "excerpts *parts axes"], trials: DetectionTrials
) -> Float[np.ndarray, "trials *parts axes"]:
    differences: np.ndarray = sounds[trials.mixtures] - sounds[trials.references[:, 0]]
    return differences


def _nuisance(
    sounds: Float[np.ndarray, "excerpts *parts axes"], pairs: Int64[np.ndarray, "pairs two"]
) -> Float[np.ndarray, "axes axes"]:
    n_axes = sounds.shape[-1]
    changes = (sounds[pairs[:, 0]] - sounds[pairs[:, 1]]).reshape(-1, n_axes)
    covariance: np.ndarray = NUISANCE * changes.T @ changes / max(len(changes), 1)
    return covariance


def _inverse(
    rows: Float[np.ndarray, "rows axes"],
    weights: Float[np.ndarray, " rows"],
    nuisance: Float[np.ndarray, "axes axes"],
) -> Float[np.ndarray, "axes axes"]:
    """Return the inverse of the shrunk covariance of rows plus that of the nuisances."""
    covariance = (rows * (weights / weights.sum())[:, np.newaxis]).T @ rows
    n_axes = len(covariance)
    even = np.eye(n_axes) * np.trace(covariance) / n_axes
    inverse: np.ndarray = np.linalg.inv(
        (1.0 - SHRINKAGE) * covariance + SHRINKAGE * even + nuisance
    )
    return inverse
