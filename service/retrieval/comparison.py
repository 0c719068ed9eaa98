"""Comparing a mixture with its references: how far, how much louder, whether it changed, and how.

Nothing here decodes or searches: embeddings and levels come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.audio.levels import level_difference_db
from service.difference import centred_cosine, l2_normalize, mean_reference, relative_norm, spread
from service.inference.embedding_space import Space
from service.inference.phrases import RankedPhrase, TextBank
from service.retrieval.change_detector import ChangeDecision, ChangeDetector
from service.retrieval.inputs import EmbeddedInput
from service.retrieval.query import Query, compose
from service.retrieval.timeline import Point, draw_curve


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a curve, and words for what was added there; none but at a peak."""

    point: Point
    phrases: list[RankedPhrase] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """Return what every answer tells of a point."""
        return {
            "start_s": self.point.start_s,
            "end_s": self.point.end_s,
            "relative_norm": self.point.relative_norm,
            "phrases": [asdict(phrase) for phrase in self.phrases],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from references to a mixture.

    Attributes:
        embedding: f(mixture) less the mean of f(reference) [dim].
        relative_norm: |d| / sqrt(|f(mixture)| |mean f(reference)|).
        spread: How far the references lie from their mean, on the same scale; None for one.
        cosine: Of the centred mixture and mean reference, -1..1.
        level_difference_db: RMS level of the mixture over that of the references [dB]; None if it
            is not known or a side is silent.
        changed: Whether something was added; None if the bundle cannot tell.
        phrases: Words for it, best first; none without towers, or if nothing changed.
        query: What the library is searched with for it.
        curve: How far the mixture is from the references over time; None if not asked for.
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

    def body(self) -> dict[str, Any]:
        """Return what every answer tells of a comparison."""
        return {
            "embedding": self.embedding,
            "relative_norm": self.relative_norm,
            "spread": self.spread,
            "cosine": self.cosine,
            "level_difference_db": self.level_difference_db,
            "changed": self.changed and asdict(self.changed),
            "phrases": [asdict(phrase) for phrase in self.phrases],
            "curve": self.curve and [point.body() for point in self.curve],
        }


class Comparer:
    """Compares sounds in one space.

    Args:
        mean: Mean embedding of the training clips [dim].
        space: Where differences are placed.
        bank: Has words for them; None for a bundle without towers.
        detector: Tells whether something changed; None for a bundle without.
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

        Where all embeddings are equal, nothing changed: the zero vector, a cosine of 1, no phrases.

        Args:
            mixture: The mixture.
            references: What is subtracted, by its mean.
            weight: How much of it is taken away for phrases and query, 0 to 1.
            n_phrases: Most phrases, of the whole and of each peak.
        """
        embeddings = [reference.embedding for reference in references]
        mean = mean_reference(embeddings)
        query = compose({"difference": self._place(mixture.embedding, mean, weight)})
        return Comparison(
            embedding=mixture.embedding - mean,
            relative_norm=relative_norm(mixture.embedding, mean),
            spread=spread(mixture.embedding, embeddings),
            cosine=centred_cosine(mixture.embedding, mean, self._mean),
            level_difference_db=_level_difference_db(mixture, references),
            changed=self._judge(mixture.embedding, embeddings),
            phrases=self._words(query.vector, n_phrases),
            query=query,
            curve=self._curve(mixture, references, weight, n_phrases),
        )

    def _judge(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
    ) -> ChangeDecision | None:
        return None if self._detector is None else self._detector.decide(mixture, references)

    def _curve(
        self,
        mixture: EmbeddedInput,
        references: Sequence[EmbeddedInput],
        weight: float,
        n_phrases: int,
    ) -> list[CurvePoint] | None:
        windows = [reference.windows for reference in references if reference.windows is not None]
        if mixture.windows is None or not windows:
            return None
        points = []
        for point in draw_curve(mixture.windows, windows):
            phrases = []
            if point.is_peak:
                change = l2_normalize(self._place(point.embedding, point.nearest, weight))
                phrases = self._words(change, n_phrases)
            points.append(CurvePoint(point, phrases))
        return points

    def _place(
        self,
        mixture: Float32[np.ndarray, " dim"],
        reference: Float32[np.ndarray, " dim"],
        weight: float,
    ) -> Float32[np.ndarray, " placed"]:
        return self._space.project_difference(mixture, reference, weight)

    def _words(self, change: Float32[np.ndarray, " placed"], n_phrases: int) -> list[RankedPhrase]:
        return self._bank.rank(change, n_phrases) if self._bank else []


def _level_difference_db(
    mixture: EmbeddedInput, references: Sequence[EmbeddedInput]
) -> float | None:
    levels = [heard.mean_square for heard in references if heard.mean_square is not None]
    if mixture.mean_square is None or len(levels) < len(references):
        return None
    return level_difference_db(mixture.mean_square, levels)
