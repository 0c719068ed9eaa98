"""Comparison of a mixture with its references: distance, level, change, phrases and curve.

Embeddings and levels come in; nothing here decodes or searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.audio.levels import level_difference_db
from service.difference import centred_cosine, l2_normalize, mean_reference, relative_norm, spread
from service.inference.embedding_space import Space
from service.inference.phrases import RankedPhrase, TextBank
from service.retrieval.change_detector import ChangeDecision, ChangeDetector
from service.retrieval.inputs import EmbeddedInput
from service.retrieval.query import Query, compose
from service.retrieval.timeline import compare_windows


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A window of the mixture, compared with the nearest window of any reference.

    Attributes:
        start_s: Start of the window in the mixture [s].
        end_s: Its end [s].
        relative_norm: Relative norm of the difference, 0...
        phrases: Phrases for what was added there, best first; only at a peak.
    """

    start_s: float
    end_s: float
    relative_norm: float
    phrases: list[RankedPhrase]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference between a mixture and its references.

    Attributes:
        embedding: f(mixture) less the mean of f(reference) [dim].
        relative_norm: |d| / sqrt(|f(mixture)| |mean f(reference)|).
        spread: Distance of the references from their mean, on the same scale; None for one.
        cosine: Cosine of the centred mixture and mean reference, -1..1.
        level_difference_db: RMS level of the mixture over that of the references [dB]; None if it
            is not known or a side is silent.
        changed: Whether something was added; None if the bundle has no detector.
        phrases: Phrases for it, best first; none without towers, or if nothing changed.
        query: Query for clips like what was added.
        curve: Distance of the mixture from the references over time; None if not asked for.
    """

    embedding: Float32[np.ndarray, " dim"]
    relative_norm: float
    spread: float | None
    cosine: float
    level_difference_db: float | None
    changed: ChangeDecision | None
    phrases: list[RankedPhrase]
    query: Query
    curve: list[CurvePoint] | None


class Comparer:
    """Compares embedded sounds in one space.

    Args:
        mean: Mean embedding of the training clips [dim].
        space: Space of queries and phrases.
        bank: Ranks phrases; None for a bundle without towers.
        detector: Decides whether something changed; None for a bundle without.
    """

    def __init__(
        self,
        mean: Float32[np.ndarray, " dim"],
        space: Space,
        *,
        bank: TextBank | None,
        detector: ChangeDetector | None,
    ) -> None:
        self._mean = mean
        self._space = space
        self._bank = bank
        self._detector = detector

    def compare(
        self,
        mixture: EmbeddedInput,
        references: Sequence[EmbeddedInput],
        *,
        weight: float,
        n_phrases: int,
    ) -> Comparison:
        """Compare a mixture with its references, at least one.

        Equal embeddings have no difference: the zero vector, a cosine of 1 and no phrases.

        Args:
            mixture: The mixture.
            references: Their mean is subtracted.
            weight: Weight of the reference in query and phrases, 0 to 1.
            n_phrases: Most phrases, of the whole and of each peak.
        """
        embedding = mixture.embedding
        embeddings = [reference.embedding for reference in references]
        level_db = _level_difference_db(mixture, references)
        mean = mean_reference(embeddings)
        distance, deviation = relative_norm(embedding, mean), spread(embedding, embeddings)
        cosine = centred_cosine(embedding, mean, self._mean)
        detector, bank = self._detector, self._bank
        changed = None if detector is None else detector.decide(embedding, embeddings)
        query = compose({"difference": self._space.project_difference(embedding, mean, weight)})
        phrases = [] if bank is None else bank.rank(query.vector, n_phrases)
        return Comparison(
            embedding=embedding - mean,
            relative_norm=distance,
            spread=deviation,
            cosine=cosine,
            level_difference_db=level_db,
            changed=changed,
            phrases=phrases,
            query=query,
            curve=self._curve(mixture, references, weight, n_phrases),
        )

    def _curve(
        self,
        mixture: EmbeddedInput,
        references: Sequence[EmbeddedInput],
        weight: float,
        n_phrases: int,
    ) -> list[CurvePoint] | None:
        known = [reference.windows for reference in references if reference.windows is not None]
        windows = mixture.windows
        if windows is None or not known:
            return None
        timeline = compare_windows(windows, known)
        phrases: dict[int, list[RankedPhrase]] = {}
        if self._bank is not None:
            for row in timeline.peaks:
                change = self._space.project_difference(
                    windows.embeddings[row], timeline.nearest[row], weight
                )
                phrases[row] = self._bank.rank(l2_normalize(change), n_phrases)
        points = zip(
            windows.starts_s.tolist(),
            windows.ends_s.tolist(),
            timeline.relative_norms.tolist(),
            strict=True,
        )
        return [CurvePoint(*point, phrases.get(row, [])) for row, point in enumerate(points)]


def _level_difference_db(
    mixture: EmbeddedInput, references: Sequence[EmbeddedInput]
) -> float | None:
    """Return the level difference [dB]; None if a level is not known."""
    known = [each.mean_square for each in references if each.mean_square is not None]
    if mixture.mean_square is None or len(known) < len(references):
        return None
    return level_difference_db(mixture.mean_square, known)
