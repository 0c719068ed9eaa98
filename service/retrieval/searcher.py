"""Search for clips: like a sound, as a text describes, or like the difference of sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from service.concurrency.timings import RequestTimings
from service.errors import KOutOfRangeError, ModifierUnavailableError, QueryIncompleteError
from service.inference.embedding_space import Space
from service.inference.encoder import Encoder
from service.inference.towers import Towers
from service.inference.understanding import UnderstoodSound
from service.library.hits import Hit
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.comparison import Comparer, Comparison
from service.retrieval.inputs import AudioInput, ClipInput, InputEmbedder
from service.retrieval.options import DEFAULT_K, DifferenceOptions, RankingOptions
from service.retrieval.query import Modifier, Notice, Query, compose
from service.retrieval.text_query import TextPart, read_modifier
from service.retrieval.timeline import curve_windowing


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A hit and the terms of its score.

    Attributes:
        hit: The clip and its score.
        contributions: Share of each term of the query; they add up to the score.
    """

    hit: Hit
    contributions: dict[str, float]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of a search, best first.

    Attributes:
        hits: The hits.
        notices: Remarks about the query.
        understood: The sounds that its text names, with their changes; empty for a bundle that
            cannot tell.
    """

    hits: list[RankedHit]
    notices: list[Notice] = field(default_factory=list)
    understood: list[UnderstoodSound] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between a mixture and its references, and the nearest clips, best first."""

    comparison: Comparison
    hits: list[RankedHit]


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
        self._reference_weight = encoder.reference_weight
        self._space = space
        self._inputs = inputs
        self._towers = towers
        self._max_k = max_k
        bank = towers.bank if towers else None
        self._comparer = Comparer(encoder.mean, space, bank=bank, detector=detector)

    def search(
        self,
        sound: AudioInput | None,
        reference: AudioInput | None,
        ranking: RankingOptions,
        timings: RequestTimings,
        *,
        modifier: Modifier | None = None,
    ) -> SearchResult:
        """Rank the clips by nearness to a sound, minus a reference, plus a text.

        A text alone is a query too. A text of strength 0 or without words is ignored. A sound less
        an equal sound leaves nothing: no hits or, with a text, the hits of the text alone. Clips
        that the query names are not among the hits.

        Args:
            sound: The sound to search like; None for a text alone.
            reference: The sound to subtract from it.
            ranking: Selection and number of hits.
            timings: Takes the time spent.
            modifier: The text to add.

        Raises:
            QueryIncompleteError: There is neither a sound nor a text, or only a reference to
                subtract from nothing.
            ModifierUnavailableError: There is a text, and the bundle has no towers.
            ClientError: A sound cannot be embedded, or k is out of range.
        """
        k = self._check_k(ranking.k)
        text = self._read(modifier, timings, is_alone=sound is None)
        if sound is None and reference is not None:
            raise QueryIncompleteError(
                "a reference is subtracted from a sound: give audio, clip_id or embedding as well"
            )
        inputs = [each for each in (sound, reference) if each is not None]
        terms = self._sound_term(inputs, ranking, timings) if inputs else {}
        if text.vector is not None:
            terms["modifier"] = text.vector
        if not terms:
            raise QueryIncompleteError(
                "a search needs a sound (audio, clip_id or embedding) or a modifier with words"
                " and a strength above 0"
            )
        hits = self._rank(compose(terms), k, ranking, inputs, timings)
        return SearchResult(hits, text.notices, text.understood)

    def difference(
        self,
        mixture: AudioInput,
        references: Sequence[AudioInput],
        ranking: RankingOptions,
        timings: RequestTimings,
        *,
        options: DifferenceOptions | None = None,
    ) -> Difference:
        """Subtract the mean of references from a mixture and rank the clips by what remains.

        Equal embeddings have no difference: the zero vector, a cosine of 1, no phrases and no hits.

        Args:
            mixture: The mixture.
            references: At least one.
            ranking: Selection and number of hits.
            timings: Takes the time spent.
            options: Phrases and curve; the defaults if not given.

        Raises:
            ClientError: A sound cannot be embedded, or k is out of range.
        """
        k = self._check_k(ranking.k)
        weight = self._weight(ranking)
        options = options or DifferenceOptions()
        inputs = [mixture, *references]
        if options.hop_s is None:
            windowing = self._inputs.description_windowing(len(inputs))
        else:
            windowing = curve_windowing(options.hop_s)
        embedded = self._inputs.embed(
            inputs, timings, windowing=windowing, files_only=options.hop_s is None
        )
        with timings.measure("compose"):
            comparison = self._comparer.compare(
                embedded[0],
                embedded[1:],
                weight=weight,
                n_phrases=options.n_phrases,
                has_curve=options.hop_s is not None,
            )
        return Difference(comparison, self._rank(comparison.query, k, ranking, inputs, timings))

    def _sound_term(
        self, inputs: Sequence[AudioInput], ranking: RankingOptions, timings: RequestTimings
    ) -> dict[str, Float32[np.ndarray, " dim"]]:
        """Return the term of a sound, or of a sound less a reference, by its name."""
        weight = self._weight(ranking)
        sound, *references = [each.embedding for each in self._inputs.embed(inputs, timings)]
        with timings.measure("compose"):
            if not references:
                return {"audio": self._space.project(sound[np.newaxis])[0]}
            change = self._space.project_difference(sound, references[0], weight)
            return {"difference": change}

    def _read(
        self, modifier: Modifier | None, timings: RequestTimings, *, is_alone: bool
    ) -> TextPart:
        """Return what a text contributes to a query."""
        if modifier is None:
            return TextPart()
        if self._towers is None:
            raise ModifierUnavailableError(
                "this bundle has no text tower, so it cannot take a modifier; leave it out"
            )
        with timings.measure("text"):
            return read_modifier(modifier, self._towers, is_alone=is_alone)

    def _rank(
        self,
        query: Query,
        k: int,
        ranking: RankingOptions,
        inputs: Sequence[AudioInput],
        timings: RequestTimings,
    ) -> list[RankedHit]:
        library = self._inputs.library
        if library is None:
            return []
        exclude = frozenset(each.clip_id for each in inputs if isinstance(each, ClipInput))
        terms = query.terms if len(query.terms) > 1 else None
        with timings.measure("search"):
            hits = library.search(
                query.vector,
                k,
                filter=ranking.filter,
                exclude=exclude,
                terms=terms,
                every_window=ranking.every_window,
            )
        if terms is not None:
            return [RankedHit(hit, hit.shares) for hit in hits]
        (name,) = query.terms
        return [RankedHit(hit, {name: hit.score}) for hit in hits]

    def _weight(self, ranking: RankingOptions) -> float:
        weight = ranking.reference_weight
        return self._reference_weight if weight is None else weight

    def _check_k(self, k: int | None) -> int:
        if k is None:
            return min(DEFAULT_K, self._max_k)
        if not 1 <= k <= self._max_k:
            raise KOutOfRangeError(f"k is {k}; 1 to {self._max_k} are allowed")
        return k
