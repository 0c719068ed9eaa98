"""The use cases of searching: like this sound, as a text says, and like what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.catalog.filters import Filter
from service.concurrency.timings import RequestTimings
from service.errors import KOutOfRangeError, ModifierUnavailableError, QueryIncompleteError
from service.inference.embedding_space import Space
from service.inference.encoder import Encoder
from service.inference.phrases import DEFAULT_PHRASES
from service.inference.towers import Towers
from service.library.library import Hit
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.comparison import Comparer, Comparison
from service.retrieval.inputs import AudioInput, ClipInput, InputEmbedder
from service.retrieval.query import Modifier, Notice, Query, compose
from service.retrieval.timeline import windowing


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """Which hits to return.

    Attributes:
        k: Most hits, 1..max_k.
        filter: What their metadata must hold; None for any.
        reference_weight: How much of the reference is subtracted, 0..1; the bundle's if None.
        every_window: Whether every window of a long clip is a hit of its own, not its best alone.
    """

    k: int
    filter: Filter | None = None
    reference_weight: float | None = None
    every_window: bool = False


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A hit, and what its score is made of.

    Attributes:
        hit: The clip and its score.
        contributions: What each term of the query gave; they add up to the score.
    """

    hit: Hit
    contributions: dict[str, float]

    def body(self) -> dict[str, Any]:
        """Return what every answer tells of a hit."""
        record = self.hit.record
        return {
            "clip_id": record.id,
            "score": self.hit.score,
            "start_s": self.hit.start_s,
            "end_s": self.hit.end_s,
            "contributions": self.contributions,
            "metadata": record.metadata,
            "duration_s": record.duration_s,
            "media_type": record.media_type,
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, best first, and what should be known about it."""

    hits: list[RankedHit]
    notices: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from references to a mixture, and the clips nearest to it, best first."""

    comparison: Comparison
    hits: list[RankedHit]


@dataclass(frozen=True, slots=True)
class DifferenceOptions:
    """What is to be told of a difference beside its hits.

    Attributes:
        n_phrases: Most words for it.
        hop_s: From point to point of its curve [s]; None for no curve.
    """

    n_phrases: int = DEFAULT_PHRASES
    hop_s: float | None = None


class Searcher:
    """Compares sounds and searches one library.

    Args:
        encoder: Its mean embedding and the default weight of a reference.
        space: The space of the library.
        inputs: Embeds the sounds of a request, and holds the library; without a library there are
            no hits.
        towers: Encode texts and rank phrases; None for a bundle without.
        detector: Decides whether something changed; None for a bundle without.
        max_k: Most hits of one search.
    """

    def __init__(
        self,
        encoder: Encoder,
        space: Space,
        inputs: InputEmbedder,
        *,
        towers: Towers | None,
        detector: ChangeDetector | None = None,
        max_k: int,
    ) -> None:
        self._encoder = encoder
        self._space = space
        self._inputs = inputs
        self._towers = towers
        self._max_k = max_k
        bank = towers.bank if towers else None
        self._comparer = Comparer(encoder.mean, space, bank=bank, detector=detector)

    def search(
        self,
        positive: AudioInput | None,
        reference: AudioInput | None,
        ranking: RankingOptions,
        timings: RequestTimings,
        *,
        modifier: Modifier | None = None,
    ) -> SearchResult:
        """Rank the library by nearness to a sound, less a reference, as changed by a text.

        Text alone is a query too. A text of strength 0, or one that holds no words, is as good as
        none. Of a sound less its equal nothing remains: no hits or, with a text, those of the text
        alone. Stored clips that the query names are left out of the hits.

        Raises:
            QueryIncompleteError: There is neither a sound nor a text, or only a reference to
                subtract from nothing.
            ModifierUnavailableError: There is a text, and the bundle has no towers.
            ClientError: A sound cannot be had, or k is out of range.
        """
        self._check_k(ranking.k)
        notices: list[Notice] = []
        terms: dict[str, np.ndarray] = {}
        of_text = self._text_term(modifier, notices, timings)
        if positive is not None:
            terms |= self._sound_term(positive, reference, ranking, timings)
        elif reference is not None:
            raise QueryIncompleteError(
                "a reference is subtracted from a sound: give audio, clip_id or embedding as well"
            )
        if of_text is not None:
            terms["modifier"] = of_text
        if not terms:
            raise QueryIncompleteError(
                "a search needs a sound (audio, clip_id or embedding) or a modifier with words"
                " and a strength above 0"
            )
        named = [sound for sound in (positive, reference) if sound is not None]
        return SearchResult(self._rank(compose(terms), ranking, named, timings), notices)

    def difference(
        self,
        mixture: AudioInput,
        references: Sequence[AudioInput],
        ranking: RankingOptions,
        timings: RequestTimings,
        *,
        options: DifferenceOptions | None = None,
    ) -> Difference:
        """Subtract the mean of references from a mixture and rank the library by what remains.

        Equal embeddings leave nothing: the zero vector, a cosine of 1, no phrases and no hits.

        Args:
            mixture: The mixture.
            references: At least one.
            ranking: Which clips to return.
            timings: Takes the time spent.
            options: What else to tell; words and no curve if not given.

        Raises:
            ClientError: A sound cannot be had, or k is out of range.
        """
        self._check_k(ranking.k)
        options = options or DifferenceOptions()
        named = [mixture, *references]
        cut = None if options.hop_s is None else windowing(options.hop_s)
        of_mixture, *of_references = self._inputs.hear(named, timings, windowing=cut)
        with timings.measure("compose"):
            comparison = self._comparer.compare(
                of_mixture,
                of_references,
                weight=self._weight(ranking),
                n_phrases=options.n_phrases,
            )
        return Difference(comparison, self._rank(comparison.query, ranking, named, timings))

    def _sound_term(
        self,
        positive: AudioInput,
        reference: AudioInput | None,
        ranking: RankingOptions,
        timings: RequestTimings,
    ) -> dict[str, Float32[np.ndarray, " dim"]]:
        """Return the term of the sounds by its name."""
        sounds = [positive] if reference is None else [positive, reference]
        embedding, *subtracted = self._inputs.embed(sounds, timings)
        with timings.measure("compose"):
            if not subtracted:
                return {"audio": self._space.project(embedding[np.newaxis])[0]}
            weight = self._weight(ranking)
            change = self._space.project_difference(embedding, subtracted[0], weight)
            return {"difference": change}

    def _text_term(
        self, modifier: Modifier | None, notices: list[Notice], timings: RequestTimings
    ) -> Float32[np.ndarray, " dim"] | None:
        """Return the term of a text, None if it says nothing; adds to the notices."""
        if modifier is None:
            return None
        if self._towers is None:
            raise ModifierUnavailableError(
                "this bundle has no text tower, so it cannot take a modifier; leave it out"
            )
        if modifier.strength == 0:
            return None
        encoder = self._towers.text
        with timings.measure("text"):
            encoded = encoder.encode(modifier.text)
        if encoded is None:
            notices.append(Notice("modifier_empty", "the modifier holds no words; it is left out"))
            return None
        if encoded.is_cut:
            notices.append(
                Notice(
                    "modifier_cut",
                    f"the modifier is longer than the {encoder.max_tokens} tokens that this bundle"
                    " reads; the rest of it is left out",
                )
            )
        return np.float32(modifier.strength) * encoded.vector

    def _rank(
        self,
        query: Query,
        ranking: RankingOptions,
        named: Sequence[AudioInput],
        timings: RequestTimings,
    ) -> list[RankedHit]:
        library = self._inputs.library
        if library is None:
            return []
        exclude = frozenset(sound.clip_id for sound in named if isinstance(sound, ClipInput))
        is_mixed = len(query.terms) > 1
        with timings.measure("search"):
            hits = library.search(
                query.vector,
                ranking.k,
                filter=ranking.filter,
                exclude=exclude,
                terms=query.terms if is_mixed else None,
                every_window=ranking.every_window,
            )
        if is_mixed:
            return [RankedHit(hit, hit.shares) for hit in hits]
        (name,) = query.terms
        return [RankedHit(hit, {name: hit.score}) for hit in hits]

    def _weight(self, ranking: RankingOptions) -> float:
        weight = ranking.reference_weight
        return self._encoder.reference_weight if weight is None else weight

    def _check_k(self, k: int) -> None:
        if not 1 <= k <= self._max_k:
            raise KOutOfRangeError(f"k is {k}; 1 to {self._max_k} are allowed")
