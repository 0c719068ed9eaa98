"""Subtraction in embedding space.

f(A + B) lies near the middle of f(A) and f(B), so plain subtraction overshoots when the result is
to be compared with embeddings of real clips. A search query therefore takes away only `weight`
of the reference, and moves the origin with it: (f(mixture) - w f(reference)) - (1 - w) m, to be
compared with f(clip) - m, where m is the mean embedding of the training clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from service.errors import EmbeddingInvalidError

LARGEST = float(np.finfo(np.float16).max)
"""Largest magnitude of an accepted value: what the library's half precision can hold."""
SMALLEST_NORM = 1e-12
"""Keeps relative norms finite where an embedding is all zero."""


def check_dim(vector: Float32[np.ndarray, " dim"], dim: int) -> Float32[np.ndarray, " dim"]:
    """Return `vector` if it has `dim` values.

    Raises:
        EmbeddingInvalidError: It has another number of them.
    """
    if vector.size != dim:
        raise EmbeddingInvalidError(
            f"embedding: has {vector.size} values, this bundle's have {dim}"
        )
    return vector


def fits(vectors: Float32[np.ndarray, ...]) -> bool:
    """Tell whether half precision can hold every value: it is finite and not too large."""
    return bool(np.all(np.abs(vectors) <= LARGEST))


def unit(vector: Float32[np.ndarray, "*clips dim"]) -> Float32[np.ndarray, "*clips dim"]:
    """Return each vector at length 1; zero stays zero."""
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(vector, norm, out=np.zeros_like(vector), where=norm > 0)
    return scaled


def centre(
    embedding: Float32[np.ndarray, "*clips dim"], mean: Float32[np.ndarray, " dim"]
) -> Float32[np.ndarray, "*clips dim"]:
    """Return the unit vector of each embedding as seen from `mean`; zero stays zero."""
    return unit(embedding - mean)


def remainder(
    mixture: Float32[np.ndarray, "*pairs dim"],
    reference: Float32[np.ndarray, "*pairs dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, "*pairs dim"]:
    """Return what remains of a mixture, as an embedding: f(mixture) - w f(reference) + w m.

    Adding back the mean keeps the result where the embeddings of sounds lie, which is what the
    audio tower is made for.

    Args:
        mixture: Embedding of the mixture.
        reference: Embedding of what is subtracted.
        mean: Mean embedding of the training clips.
        weight: How much of the reference to take away, 0 (nothing) to 1.
    """
    kept: np.ndarray = mixture - np.float32(weight) * (reference - mean)
    return kept


def centred_remainder(
    mixture: Float32[np.ndarray, " dim"],
    reference: Float32[np.ndarray, " dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, " dim"]:
    """Return what remains of a mixture as seen from `mean`; at weight 1 that is the difference."""
    return (mixture - weight * reference) - (1.0 - weight) * mean


def difference_query(
    mixture: Float32[np.ndarray, " dim"],
    reference: Float32[np.ndarray, " dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, " dim"]:
    """Return the unit vector to search with for what `mixture` has and `reference` has not.

    Equal embeddings differ by nothing: the result is zero, for any weight.

    Args:
        mixture: Embedding of the mixture.
        reference: Embedding of what is subtracted.
        mean: Mean embedding of the training clips.
        weight: How much of the reference to take away, 0 (nothing) to 1.
    """
    if np.array_equal(mixture, reference):
        return np.zeros_like(mixture)
    return unit(centred_remainder(mixture, reference, mean, weight))


def relative_norm(
    mixture: Float32[np.ndarray, " dim"], reference: Float32[np.ndarray, " dim"]
) -> float:
    """Return how large the difference is, |f(m) - f(r)| / sqrt(|f(m)| |f(r)|); 0 for equal ones."""
    scale = np.sqrt(np.linalg.norm(mixture) * np.linalg.norm(reference))
    return float(np.linalg.norm(mixture - reference) / max(float(scale), SMALLEST_NORM))


def mean_reference(
    references: Sequence[Float32[np.ndarray, " dim"]],
) -> Float32[np.ndarray, " dim"]:
    """Return the mean of embeddings; of equal ones exactly these."""
    stacked = np.asarray(references, np.float64)
    mean: np.ndarray = stacked.mean(axis=0).astype(np.float32)
    return mean


def spread(
    mixture: Float32[np.ndarray, " dim"], references: Sequence[Float32[np.ndarray, " dim"]]
) -> float | None:
    """Return how far references lie from their mean, on the scale of the relative norm.

    The root of their mean squared distance, with one degree of freedom taken off, over
    sqrt(|f(mixture)| |mean|); so a `relative_norm` near it says no more than that they differ.

    Returns:
        None for a single reference, which tells nothing of it.
    """
    if len(references) < 2:
        return None
    mean = mean_reference(references)
    squares = np.square(np.asarray(references, np.float64) - mean).sum() / (len(references) - 1)
    scale = float(np.sqrt(np.linalg.norm(mixture) * np.linalg.norm(mean)))
    return float(np.sqrt(squares)) / max(scale, SMALLEST_NORM)


def centred_cosine(
    a: Float32[np.ndarray, " dim"],
    b: Float32[np.ndarray, " dim"],
    mean: Float32[np.ndarray, " dim"],
) -> float:
    """Return the cosine of two embeddings as seen from `mean`, -1 to 1; exactly 1 for equal ones.

    Raw embeddings are non-negative and all look alike; centred ones do not.
    """
    if np.array_equal(a, b):
        return 1.0
    return float(np.clip(centre(a, mean) @ centre(b, mean), -1.0, 1.0))
