"""Features of trials, from the projected embeddings of all excerpts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.retrieval.change_features import WINDOW_FEATURES, Discriminant
from training.change_detection.trials import DetectionTrials

AXES = 64
EIGEN_ROWS = 1500  # most rows that the principal axes are computed from
BLOCK_TRIALS = 64
LEAST_SCALE = np.float32(0.02)  # values that hardly vary are not blown up

Embeddings = Float32[np.ndarray, "excerpts dim"]
Windows = Float32[np.ndarray, "excerpts windows dim"]


@dataclass(frozen=True, slots=True)
class ExcerptEmbeddings:
    """Embeddings of all excerpts, raw and along the principal axes of those of a fit.

    Attributes:
        origin: Mean of the embeddings of the fit [dim].
        axes: Their principal axes [dim axes].
        scale: Their standard deviation, at least `LEAST_SCALE` [dim].
        clips: Whole excerpts along the axes [excerpts axes].
        windows: Their windows, raw; may be mapped into memory [excerpts windows dim].
    """

    origin: Float32[np.ndarray, " dim"]
    axes: Float32[np.ndarray, "dim axes"]
    scale: Float32[np.ndarray, " dim"]
    clips: Float[np.ndarray, "excerpts axes"]
    windows: Windows


def prepare(
    embeddings: Embeddings, windows: Windows, rows: Int64[np.ndarray, " rows"]
) -> ExcerptEmbeddings:
    """Compute the axes of some excerpts, and all excerpts along them.

    Args:
        embeddings: Of all excerpts.
        windows: Of all excerpts.
        rows: The excerpts of the fit.
    """
    origin, axes = principal_axes(embeddings[rows])
    scale = np.maximum(embeddings[rows].std(axis=0), LEAST_SCALE)
    return prepare_for(embeddings, windows, origin, axes, scale)


def prepare_for(
    embeddings: Embeddings,
    windows: Windows,
    origin: Float32[np.ndarray, " dim"],
    axes: Float32[np.ndarray, "dim axes"],
    scale: Float32[np.ndarray, " dim"],
) -> ExcerptEmbeddings:
    """Compute all excerpts along given axes."""
    clips = ((embeddings - origin) @ axes).astype(np.float64)
    return ExcerptEmbeddings(origin, axes, scale, clips, windows)


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


def clip_features(
    discriminant: Discriminant, excerpts: ExcerptEmbeddings, trials: DetectionTrials
) -> Float[np.ndarray, "trials features"]:
    """Compute the features of whole excerpts."""
    found: np.ndarray = discriminant.clip_features(
        excerpts.clips[trials.mixtures], excerpts.clips[trials.references]
    )
    return found


def window_features(
    discriminant: Discriminant, excerpts: ExcerptEmbeddings, trials: DetectionTrials
) -> Float[np.ndarray, "trials features"]:
    """Compute the features of the windows of excerpts."""
    blocks = [
        discriminant.window_features(
            excerpts.windows[trials.mixtures[first : first + BLOCK_TRIALS]],
            [excerpts.windows[rows] for rows in trials.references[first : first + BLOCK_TRIALS].T],
        )
        for first in range(0, len(trials.mixtures), BLOCK_TRIALS)
    ]
    return np.vstack([np.zeros((0, WINDOW_FEATURES)), *blocks])
