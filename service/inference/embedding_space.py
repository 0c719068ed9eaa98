"""The space that a library is searched in: where sounds lie, and what remains of one.

Without towers that is the space of the embeddings, seen from their mean. With towers it is theirs,
in which texts lie as well.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.difference import centred_remainder, remainder, unit
from service.inference.towers import AudioTower


class Space(Protocol):
    """Brings raw embeddings to where they are compared, as vectors of any length.

    Attributes:
        fingerprint: Encoder of the embeddings.
        identity: Another one for every space that places embeddings differently.
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
        """Return the vector of each sound; the same bits, whatever others it is placed with."""
        ...

    def project_difference(
        self,
        mixture: Float32[np.ndarray, " embedding_dim"],
        reference: Float32[np.ndarray, " embedding_dim"],
        weight: float,
    ) -> Float32[np.ndarray, " dim"]:
        """Return the vector of what remains of a mixture; zero if the two are equal.

        Args:
            mixture: Raw embedding.
            reference: Raw embedding of what is taken away.
            weight: How much of it is taken away, 0 to 1.
        """
        ...


class CentredSpace:
    """The embeddings themselves, as seen from their mean.

    Args:
        fingerprint: Their encoder.
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
        seen: np.ndarray = embeddings - self._mean
        return seen

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
        tower: Places embeddings in it.
        fingerprint: Their encoder.
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
        kept = remainder(mixture, reference, self._mean, weight)
        vector: np.ndarray = self.project(kept[np.newaxis])[0]
        return vector


def make_space(bundle: Bundle, tower: AudioTower | None) -> Space:
    """Return the space of a bundle: that of its towers if it has any.

    Args:
        bundle: Whose embeddings are searched.
        tower: Its audio tower.
    """
    fingerprint = bundle.manifest.encoder.fingerprint
    if tower is None:
        return CentredSpace(fingerprint, bundle.mean)
    return TowerSpace(tower, fingerprint, bundle.mean)


def items(
    space: Space, embeddings: Float32[np.ndarray, "clips embedding_dim"]
) -> Float32[np.ndarray, "clips dim"]:
    """Return what queries are compared with: the unit vector of each sound."""
    return unit(space.project(embeddings))
