"""The use cases of searching: like this sound, and like what changed between two sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.difference import centre, centred_cosine, difference_query, relative_norm
from service.encoder import Encoder
from service.errors import KOutOfRangeError
from service.filters import Filter
from service.library import Hit, Library
from service.sounds import Listener, Sound, Stored
from service.timing import Phases


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which clips to return.

    Attributes:
        k: Most hits, 1..max_k.
        filter: What their metadata must hold; None for any.
        reference_weight: How much of the reference is subtracted, 0..1; the bundle's if None.
    """

    k: int
    filter: Filter | None = None
    reference_weight: float | None = None


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A hit, and what its score is made of."""

    hit: Hit
    contributions: dict[str, float]

    def body(self) -> dict[str, Any]:
        """Return what every answer tells of a hit."""
        record = self.hit.record
        return {
            "clip_id": record.id,
            "score": self.hit.score,
            "contributions": self.contributions,
            "metadata": record.metadata,
            "duration_s": record.duration_s,
            "media_type": record.media_type,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from a reference to a mixture.

    Attributes:
        embedding: f(mixture) - f(reference) [dim].
        relative_norm: |d| / sqrt(|f(mixture)| |f(reference)|).
        cosine: Of the centred mixture and reference, -1..1.
        hits: The clips nearest to the difference, best first.
    """

    embedding: Float32[np.ndarray, " dim"]
    relative_norm: float
    cosine: float
    hits: list[RankedHit]


class Searcher:
    """Answers searches over one library with one encoder.

    Args:
        encoder: Knows the training mean and the weight of a reference.
        library: Is searched.
        listener: Embeds what a request names.
        max_k: Most hits of one search.
    """

    def __init__(
        self, encoder: Encoder, library: Library, listener: Listener, *, max_k: int
    ) -> None:
        self._encoder = encoder
        self._library = library
        self._listener = listener
        self._max_k = max_k

    def search(
        self, positive: Sound, reference: Sound | None, ranking: Ranking, phases: Phases
    ) -> list[RankedHit]:
        """Rank the library by nearness to a sound, less a reference if there is one.

        Stored clips that the query itself names are left out of the hits.

        Raises:
            ClientError: A sound cannot be had, or k is out of range.
        """
        self._check_k(ranking.k)
        if reference is not None:
            return self.difference(positive, reference, ranking, phases).hits
        (embedding,) = self._listener.embed([positive], phases)
        query = centre(embedding, self._encoder.mean)
        return self._rank(query, ranking, [positive], term="audio", phases=phases)

    def difference(
        self, mixture: Sound, reference: Sound, ranking: Ranking, phases: Phases
    ) -> Difference:
        """Subtract a reference from a mixture and rank the library by what remains.

        Equal embeddings leave nothing: the zero vector, a cosine of 1 and no hits.

        Raises:
            ClientError: A sound cannot be had, or k is out of range.
        """
        self._check_k(ranking.k)
        of_mixture, of_reference = self._listener.embed([mixture, reference], phases)
        mean = self._encoder.mean
        weight = ranking.reference_weight
        if weight is None:
            weight = self._encoder.reference_weight
        query = difference_query(of_mixture, of_reference, mean, weight)
        return Difference(
            embedding=of_mixture - of_reference,
            relative_norm=relative_norm(of_mixture, of_reference),
            cosine=centred_cosine(of_mixture, of_reference, mean),
            hits=self._rank(query, ranking, [mixture, reference], term="difference", phases=phases),
        )

    def _rank(
        self,
        query: Float32[np.ndarray, " dim"],
        ranking: Ranking,
        named: Sequence[Sound],
        *,
        term: str,
        phases: Phases,
    ) -> list[RankedHit]:
        exclude = frozenset(sound.clip_id for sound in named if isinstance(sound, Stored))
        with phases.measure("search"):
            hits = self._library.search(query, ranking.k, filter=ranking.filter, exclude=exclude)
        return [RankedHit(hit, {term: hit.score}) for hit in hits]

    def _check_k(self, k: int) -> None:
        if not 1 <= k <= self._max_k:
            raise KOutOfRangeError(f"k is {k}; 1 to {self._max_k} are allowed")
