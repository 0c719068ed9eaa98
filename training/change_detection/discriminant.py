"""Fit the discriminant: covariances of differences of embeddings, without and with a change."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from service.retrieval.change_features import Discriminant
from training.change_detection.features import ExcerptEmbeddings
from training.change_detection.trials import DetectionTrials

SHRINKAGE = 0.3  # of a covariance, towards a multiple of the identity
NUISANCE = 10.0  # factor of the covariance of changes of level, codec or place


def fit_discriminant(
    excerpts: ExcerptEmbeddings, trials: DetectionTrials, nuisances: Int64[np.ndarray, "pairs two"]
) -> Discriminant:
    """Fit the covariances of differences, without and with an added sound.

    Args:
        excerpts: All excerpts.
        trials: Trials of one reference.
        nuisances: Pairs of excerpts that differ by level, codec or a shift alone.
    """
    unchanged, added = (trials.select(trials.of(change)) for change in ("nothing", "added"))
    clips = excerpts.clips
    differences = clips[added.mixtures] - clips[added.references[:, 0]]
    shift = np.average(differences, axis=0, weights=added.weights)
    nuisance = _nuisance(clips, nuisances)
    return Discriminant(
        origin=excerpts.origin,
        axes=excerpts.axes,
        unchanged=_inverse(
            clips[unchanged.mixtures] - clips[unchanged.references[:, 0]],
            unchanged.weights,
            nuisance,
        ),
        added=_inverse(differences - shift, added.weights, nuisance),
        shift=shift,
        scale=excerpts.scale,
    )


def _nuisance(
    clips: Float[np.ndarray, "excerpts axes"], pairs: Int64[np.ndarray, "pairs two"]
) -> Float[np.ndarray, "axes axes"]:
    changes = clips[pairs[:, 0]] - clips[pairs[:, 1]]
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
