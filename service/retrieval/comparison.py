"""Comparison of a mixture with its references: distance, level, what changed, and the curve.

Embeddings and levels come in; nothing here decodes or searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from service.audio.levels import level_difference_db
from service.clips import Windows
from service.difference import centred_cosine, l2_normalize, mean_reference, relative_norm, spread
from service.inference.embedding_space import Space
from service.inference.phrases import RankedPhrase, TextBank
from service.retrieval.change_calibration import ChangeDecision
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.description import NAMED, ChangeSide, describe, level_over_rest_db
from service.retrieval.embedded import EmbeddedInput
from service.retrieval.extent import Extent, locate, rises
from service.retrieval.query import Query, compose
from service.retrieval.timeline import compare_windows, find_nearest


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
        description: What changed, in one or two sentences.
        embedding: f(mixture) less the mean of f(reference) [dim].
        relative_norm: |d| / sqrt(|f(mixture)| |mean f(reference)|).
        spread: Distance of the references from their mean, on the same scale; None for one.
        cosine: Cosine of the centred mixture and mean reference, -1..1.
        level_difference_db: RMS level of the mixture over that of the references [dB]; None if it
            is not known or a side is silent.
        changed: What was added or removed; None if the bundle has no detector.
        phrases: Those of `added`.
        added: What the mixture has and the references lack.
        removed: What the references have and the mixture lacks.
        query: Query for clips like what was added.
        curve: Distance of the mixture from the references over time; None if not asked for.
    """

    description: str
    embedding: Float32[np.ndarray, " dim"]
    relative_norm: float
    spread: float | None
    cosine: float
    level_difference_db: float | None
    changed: ChangeDecision | None
    phrases: list[RankedPhrase]
    added: ChangeSide
    removed: ChangeSide
    query: Query
    curve: list[CurvePoint] | None


@dataclass(frozen=True, slots=True)
class _SideOptions:
    """Weight of the other side, 0 to 1, and most phrases."""

    weight: float
    n_phrases: int


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
        has_curve: bool = True,
    ) -> Comparison:
        """Compare a mixture with its references, at least one.

        Equal embeddings have no difference: the zero vector, a cosine of 1 and no phrases.

        Args:
            mixture: The mixture.
            references: Their mean is subtracted.
            weight: Weight of the reference in query and phrases, 0 to 1.
            n_phrases: Most phrases, of the whole and of each peak.
            has_curve: Whether to return the curve, if there are windows.
        """
        embedding = mixture.embedding
        embeddings = [reference.embedding for reference in references]
        mean = mean_reference(embeddings)
        changed = None
        if self._detector is not None:
            windows = [each.windows for each in (mixture, *references)]
            changed = self._detector.decide(embedding, embeddings, windows)
        query = compose({"difference": self._space.project_difference(embedding, mean, weight)})
        options = _SideOptions(weight, max(n_phrases, NAMED))
        added = self._side(mixture, references, query.vector, options)
        lacking = l2_normalize(self._space.project_difference(mean, embedding, weight))
        removed = self._removed(mixture, references, lacking, options)
        curve = self._curve(mixture, references, options, n_phrases) if has_curve else None
        return Comparison(
            description=describe(added, removed, changed, is_equal=np.array_equal(embedding, mean)),
            embedding=embedding - mean,
            relative_norm=relative_norm(embedding, mean),
            spread=spread(embedding, embeddings),
            cosine=centred_cosine(embedding, mean, self._mean),
            level_difference_db=_level_difference_db(mixture, references),
            changed=changed,
            phrases=added.phrases[:n_phrases],
            added=replace(added, phrases=added.phrases[:n_phrases]),
            removed=replace(removed, phrases=removed.phrases[:n_phrases]),
            query=query,
            curve=curve,
        )

    def _side(
        self,
        sound: EmbeddedInput,
        others: Sequence[EmbeddedInput],
        change: Float32[np.ndarray, " dim"],
        options: _SideOptions,
    ) -> ChangeSide:
        """Return what a sound has and the others lack.

        Args:
            sound: The sound.
            others: The others, at least one.
            change: Unit vector of the difference of the whole sounds.
            options: Weight and number of phrases.
        """
        windows, known = sound.windows, _windows_of(others)
        extent = locate(rises(windows, known), windows) if windows and known else None
        if windows and extent and self._bank is not None:
            change = l2_normalize(change + self._change_within(extent, windows, known, options))
        phrases = self._rank(change, options.n_phrases)
        level_db = _level_over_rest_db(sound, others, extent)
        if extent is None:
            return ChangeSide(phrases, level_db=level_db)
        return ChangeSide(phrases, extent.start_s, extent.end_s, level_db)

    def _change_within(
        self, extent: Extent, windows: Windows, known: Sequence[Windows], options: _SideOptions
    ) -> Float32[np.ndarray, " dim"]:
        """Return the unit vector of what the windows at a time have and the nearest ones lack."""
        shares = extent.overlaps(windows)
        inside = windows.embeddings[shares >= min(0.5, float(shares.max()))]
        others = np.concatenate([each.embeddings for each in known])
        nearest = others[find_nearest(inside, others)[0]]
        change = self._space.project_difference(
            inside.mean(axis=0), nearest.mean(axis=0), options.weight
        )
        return l2_normalize(change)

    def _removed(
        self,
        mixture: EmbeddedInput,
        references: Sequence[EmbeddedInput],
        change: Float32[np.ndarray, " dim"],
        options: _SideOptions,
    ) -> ChangeSide:
        """Return what the references have and the mixture lacks, with its time in a single one."""
        if len(references) == 1:
            return self._side(references[0], [mixture], change, options)
        powers = [each.mean_square for each in references if each.mean_square is not None]
        level_db = None
        if len(powers) == len(references):
            together = EmbeddedInput(references[0].embedding, sum(powers) / len(powers))
            level_db = _level_over_rest_db(together, [mixture], None)
        return ChangeSide(self._rank(change, options.n_phrases), level_db=level_db)

    def _rank(self, vector: Float32[np.ndarray, " dim"], n_phrases: int) -> list[RankedPhrase]:
        return [] if self._bank is None else self._bank.rank(vector, n_phrases)

    def _curve(
        self,
        mixture: EmbeddedInput,
        references: Sequence[EmbeddedInput],
        options: _SideOptions,
        n_phrases: int,
    ) -> list[CurvePoint] | None:
        """Return the distance over time; None without windows."""
        windows, known = mixture.windows, _windows_of(references)
        if windows is None or not known:
            return None
        timeline = compare_windows(windows, known)
        phrases: dict[int, list[RankedPhrase]] = {}
        if self._bank is not None:
            for row in timeline.peaks:
                change = self._space.project_difference(
                    windows.embeddings[row], timeline.nearest[row], options.weight
                )
                phrases[row] = self._bank.rank(l2_normalize(change), n_phrases)
        points = zip(
            windows.starts_s.tolist(),
            windows.ends_s.tolist(),
            timeline.relative_norms.tolist(),
            strict=True,
        )
        return [CurvePoint(*point, phrases.get(row, [])) for row, point in enumerate(points)]


def _windows_of(sounds: Sequence[EmbeddedInput]) -> list[Windows]:
    """Return the windows of the sounds that have any."""
    return [sound.windows for sound in sounds if sound.windows is not None]


def _level_difference_db(
    mixture: EmbeddedInput, references: Sequence[EmbeddedInput]
) -> float | None:
    """Return the level difference [dB]; None if a level is not known."""
    known = [each.mean_square for each in references if each.mean_square is not None]
    if mixture.mean_square is None or len(known) < len(references):
        return None
    return level_difference_db(mixture.mean_square, known)


def _level_over_rest_db(
    sound: EmbeddedInput, others: Sequence[EmbeddedInput], extent: Extent | None
) -> float | None:
    """Return the level of what a sound has over the others [dB]; None if a level is not known."""
    known = [each.mean_square for each in others if each.mean_square is not None]
    if sound.mean_square is None or len(known) < len(others):
        return None
    share = 1.0
    if extent is not None and sound.windows is not None:
        share = (extent.end_s - extent.start_s) / float(sound.windows.ends_s[-1])
    return level_over_rest_db(sound.mean_square, sum(known) / len(known), share)
