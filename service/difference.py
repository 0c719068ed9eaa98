"""Subtraction in embedding space.

f(A + B) lies near the middle of f(A) and f(B), so plain subtraction removes too much when the
result is compared with embeddings of real clips. A search query therefore subtracts only the share
`weight` of the reference, and moves the origin accordingly: (f(mixture) - w f(reference)) -
(1 - w) m. It is compared with f(clip) - m, where m is the mean embedding of the training clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from service.errors import EmbeddingInvalidError

LARGEST = float(np.finfo(np.float16).max)
"""Largest magnitude of an accepted value: the limit of the half precision of the library."""
SMALLEST_NORM = 1e-12
"""Lower bound of the denominator of relative norms: keeps them finite for zero embeddings."""


def check_dim(vector: Float32[np.ndarray, " dim"], dim: int) -> Float32[np.ndarray, " dim"]:
    """Return `vector` if it has `dim` values.

    Raises:
        EmbeddingInvalidError: It has another number of values.
    """
    if vector.size != dim:
        raise EmbeddingInvalidError(
            f"embedding: has {vector.size} values, this bundle's have {dim}"
        )
    return vector


def fits(vectors: Float32[np.ndarray, ...]) -> bool:
    """Tell whether all values are finite and within the range of half precision."""
    return bool(np.all(np.abs(vectors) <= LARGEST))


def l2_normalize(vector: Float32[np.ndarray, "*clips dim"]) -> Float32[np.ndarray, "*clips dim"]:
    """Scale each vector to length 1; zero stays zero."""
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(vector, norm, out=np.zeros_like(vector), where=norm > 0)
    return scaled


def centre(
    embedding: Float32[np.ndarray, "*clips dim"], mean: Float32[np.ndarray, " dim"]
) -> Float32[np.ndarray, "*clips dim"]:
    """Return the unit vector of each embedding relative to `mean`; zero stays zero."""
    return l2_normalize(embedding - mean)


def remainder(
    mixture: Float32[np.ndarray, "*pairs dim"],
    reference: Float32[np.ndarray, "*pairs dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, "*pairs dim"]:
    """Subtract a reference from a mixture: f(mixture) - w f(reference) + w m.

    The mean m is added so that the result lies among the embeddings of sounds, for which the audio
    tower was trained.

    Args:
        mixture: Embedding of the mixture.
        reference: Embedding of the reference.
        mean: Mean embedding of the training clips.
        weight: Share of the reference that is subtracted, 0 to 1.
    """
    rest: np.ndarray = mixture - np.float32(weight) * (reference - mean)
    return rest


def centred_remainder(
    mixture: Float32[np.ndarray, " dim"],
    reference: Float32[np.ndarray, " dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, " dim"]:
    """Subtract a reference from a mixture, relative to `mean`; at weight 1, plain subtraction."""
    return (mixture - weight * reference) - (1.0 - weight) * mean


def difference_query(
    mixture: Float32[np.ndarray, " dim"],
    reference: Float32[np.ndarray, " dim"],
    mean: Float32[np.ndarray, " dim"],
    weight: float,
) -> Float32[np.ndarray, " dim"]:
    """Return the unit vector of the query for the sounds of a mixture that a reference lacks.

    For equal embeddings the result is zero, at any weight.

    Args:
        mixture: Embedding of the mixture.
        reference: Embedding of the reference.
        mean: Mean embedding of the training clips.
        weight: Share of the reference that is subtracted, 0 to 1.
    """
    if np.array_equal(mixture, reference):
        return np.zeros_like(mixture)
    return l2_normalize(centred_remainder(mixture, reference, mean, weight))


def relative_norm(
    mixture: Float32[np.ndarray, " dim"], reference: Float32[np.ndarray, " dim"]
) -> float:
    """Return |f(m) - f(r)| / sqrt(|f(m)| |f(r)|), the size of the difference; 0 for equal ones."""
    scale = np.sqrt(np.linalg.norm(mixture) * np.linalg.norm(reference))
    return float(np.linalg.norm(mixture - reference) / max(float(scale), SMALLEST_NORM))


def mean_reference(
    references: Sequence[Float32[np.ndarray, " dim"]],
) -> Float32[np.ndarray, " dim"]:
    """Return the mean of embeddings; the mean of equal ones is exactly equal to them."""
    stacked = np.asarray(references, np.float64)
    mean: np.ndarray = stacked.mean(axis=0).astype(np.float32)
    return mean


def spread(
    mixture: Float32[np.ndarray, " dim"], references: Sequence[Float32[np.ndarray, " dim"]]
) -> float | None:
    """Return the standard deviation of references, on the scale of the relative norm.

    It is the root of their mean squared distance from their mean, with n - 1 as the divisor, over
    sqrt(|f(mixture)| |mean|). A `relative_norm` near it may be variation of the references.

    Returns:
        None for a single reference.
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
    """Return the cosine of two embeddings relative to `mean`, -1 to 1; exactly 1 for equal ones.

    Raw embeddings are non-negative, so their cosines are all large; those of centred ones are not.
    """
    if np.array_equal(a, b):
        return 1.0
    return float(np.clip(centre(a, mean) @ centre(b, mean), -1.0, 1.0))
