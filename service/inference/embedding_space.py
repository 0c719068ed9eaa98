"""Vector space in which a library is searched, for sounds and for differences of sounds.

Without towers it is the space of the embeddings, centred at their mean. With towers it is the
common space of sounds and texts.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.difference import centred_remainder, l2_normalize, remainder
from service.inference.towers import AudioTower


class Space(Protocol):
    """Projects raw embeddings to vectors that can be compared; they are not normalised.

    Attributes:
        fingerprint: Encoder of the embeddings.
        identity: Identity of the projection: spaces that project differently have different ones.
        embedding_dim: Length of an embedding.
        dim: Length of a vector.
    """

    fingerprint: str
    identity: str
    embedding_dim: int
    dim: int

    def project(
        self, embeddings: Float32[np.ndarray, "clips embedding_dim"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Return the vector of each sound; its bits do not depend on the other rows."""
        ...

    def project_difference(
        self,
        mixture: Float32[np.ndarray, " embedding_dim"],
        reference: Float32[np.ndarray, " embedding_dim"],
        weight: float,
    ) -> Float32[np.ndarray, " dim"]:
        """Return the vector of a mixture without a reference; zero if the two are equal.

        Args:
            mixture: Raw embedding.
            reference: Raw embedding.
            weight: Share of the reference that is subtracted, 0 to 1.
        """
        ...


class CentredSpace:
    """The space of the embeddings, centred at their mean.

    Args:
        fingerprint: Encoder of the embeddings.
        mean: Mean embedding of its training clips [dim].
    """

    def __init__(self, fingerprint: str, mean: Float32[np.ndarray, " dim"]) -> None:
        self.fingerprint = fingerprint
        self.identity = f"centred {hashlib.sha256(mean.astype('<f4').tobytes()).hexdigest()}"
        self.embedding_dim = self.dim = len(mean)
        self._mean = mean

    def project(
        self, embeddings: Float32[np.ndarray, "clips dim"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """See `Space`."""
        centred: np.ndarray = embeddings - self._mean
        return centred

    def project_difference(
        self,
        mixture: Float32[np.ndarray, " dim"],
        reference: Float32[np.ndarray, " dim"],
        weight: float,
    ) -> Float32[np.ndarray, " dim"]:
        """See `Space`."""
        if np.array_equal(mixture, reference):
            return np.zeros_like(mixture)
        return centred_remainder(mixture, reference, self._mean, weight)


class TowerSpace:
    """The common space of sounds and texts (paper, section 5.3).

    Args:
        tower: Projects embeddings into it, and differences, if the bundle has a trained difference.
        fingerprint: Encoder of the embeddings.
        mean: Mean embedding of its training clips [embedding_dim].
    """

    def __init__(
        self, tower: AudioTower, fingerprint: str, mean: Float32[np.ndarray, " embedding_dim"]
    ) -> None:
        self.fingerprint = fingerprint
        self.identity = f"towers {tower.fingerprint}"
        self.embedding_dim = len(mean)
        self.dim = tower.dim
        self._tower = tower
        self._mean = mean

    def project(
        self, embeddings: Float32[np.ndarray, "clips embedding_dim"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """See `Space`."""
        return self._tower.vectors(embeddings)

    def project_difference(
        self,
        mixture: Float32[np.ndarray, " embedding_dim"],
        reference: Float32[np.ndarray, " embedding_dim"],
        weight: float,
    ) -> Float32[np.ndarray, " dim"]:
        """See `Space`."""
        if np.array_equal(mixture, reference):
            return np.zeros(self.dim, np.float32)
        if self._tower.has_difference:
            return self._tower.difference(mixture, reference, weight)
        rest = remainder(mixture, reference, self._mean, weight)
        vector: np.ndarray = self._tower.vectors(rest[np.newaxis])[0]
        return vector


def make_space(bundle: Bundle, tower: AudioTower | None) -> Space:
    """Return the space of a bundle.

    Args:
        bundle: Bundle of the embeddings.
        tower: Audio tower of the bundle; None if it has no towers.
    """
    fingerprint = bundle.manifest.encoder.fingerprint
    if tower is None:
        return CentredSpace(fingerprint, bundle.mean)
    return TowerSpace(tower, fingerprint, bundle.mean)


def items(
    space: Space, embeddings: Float32[np.ndarray, "clips embedding_dim"]
) -> Float32[np.ndarray, "clips dim"]:
    """Return the unit vectors with which queries are compared."""
    return l2_normalize(space.project(embeddings))
