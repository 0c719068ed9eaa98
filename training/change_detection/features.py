"""Features of trials, from the projected embeddings of all excerpts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.retrieval.change_features import Discriminant, window_features
from training.change_detection.trials import DetectionTrials

AXES = 64
EIGEN_ROWS = 1500  # most rows that the principal axes are computed from
BLOCK_EXCERPTS = 256
BLOCK_TRIALS = 2000

Embeddings = Float32[np.ndarray, "excerpts dim"]
Windows = Float32[np.ndarray, "excerpts windows dim"]


@dataclass(frozen=True, slots=True)
class ProjectedExcerpts:
    """Embeddings along their principal axes.

    Attributes:
        origin: Mean of the embeddings [dim].
        axes: The axes [dim axes].
        clips: Whole excerpts [excerpts axes].
        windows: Their windows [excerpts windows axes].
    """

    origin: Float32[np.ndarray, " dim"]
    axes: Float32[np.ndarray, "dim axes"]
    clips: Float[np.ndarray, "excerpts axes"]
    windows: Float[np.ndarray, "excerpts windows axes"]


def project(
    embeddings: Embeddings, windows: Windows, rows: Int64[np.ndarray, " rows"]
) -> ProjectedExcerpts:
    """Project all excerpts on the principal axes of some of them.

    Args:
        embeddings: Of all excerpts.
        windows: Of all excerpts; may be mapped into memory.
        rows: The excerpts whose axes are computed.
    """
    return project_on(embeddings, windows, *principal_axes(embeddings[rows]))


def project_on(
    embeddings: Embeddings,
    windows: Windows,
    origin: Float32[np.ndarray, " dim"],
    axes: Float32[np.ndarray, "dim axes"],
) -> ProjectedExcerpts:
    """Project all excerpts on given axes."""
    blocks = range(0, len(windows), BLOCK_EXCERPTS)
    projected = [(windows[i : i + BLOCK_EXCERPTS] - origin) @ axes for i in blocks]
    return ProjectedExcerpts(
        origin,
        axes,
        ((embeddings - origin) @ axes).astype(np.float64),
        np.concatenate(projected).astype(np.float64),
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


def clip_features(
    discriminant: Discriminant, projected: ProjectedExcerpts, trials: DetectionTrials
) -> Float[np.ndarray, "trials features"]:
    """Compute the features of whole excerpts."""
    found: np.ndarray = discriminant.clip_features(
        projected.clips[trials.mixtures], projected.clips[trials.references]
    )
    return found


def all_features(
    discriminant: Discriminant, projected: ProjectedExcerpts, trials: DetectionTrials
) -> Float[np.ndarray, "trials features"]:
    """Compute the features of whole excerpts and of their windows."""
    whitened = discriminant.whiten(projected.windows)
    blocks = []
    for first in range(0, max(len(trials.mixtures), 1), BLOCK_TRIALS):
        mixtures = trials.mixtures[first : first + BLOCK_TRIALS]
        references = trials.references[first : first + BLOCK_TRIALS]
        blocks.append(window_features(whitened[mixtures], [whitened[r] for r in references.T]))
    clips = clip_features(discriminant, projected, trials)
    return np.concatenate([clips, np.vstack(blocks)], axis=1)
