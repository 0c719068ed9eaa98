"""The gate: what a variant of the encoder must keep of the float32 one to be shipped.

Embeddings may look alike to four digits where their differences do not, so differences of
held-out mixtures and references are what is compared first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.difference import centre
from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.export.reference_weight import LONGEST, draw_pairs, mix, rank_of_added

PAIRS = 500
MEDIAN_COSINE = 0.995
FIRST_PERCENTILE = 0.95
ALLOWED_LOSS = 0.01  # of a score, all of which lie between 0 and 1
BATCH_TOLERANCE = 1e-5  # of the largest value of an embedding
TOGETHER = 16  # clips encoded in one call

Scorer = Callable[[Encoder], Mapping[str, float]]
"""Measures an encoder: scores by name, each between 0 and 1, higher is better."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate found.

    Attributes:
        figures: What was measured, by name.
        faults: Why the variant must not be shipped; empty if it may.
    """

    figures: dict[str, float]
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Heard:
    """What an encoder makes of the pairs.

    Attributes:
        alone: Embeddings of the held-out clips, float32 [clips dim].
        mixed: Embeddings of the mixtures, float32 [pairs dim].
    """

    alone: np.ndarray
    mixed: np.ndarray


@dataclass(slots=True)
class Gate:
    """Compares variants with the float32 encoder on held-out clips.

    Args:
        reference: The float32 encoder.
        held_out: Clips that training never heard, at least 3.
        seed: Draws the pairs.
        scorers: Further measurements, in each of which a variant may lose 0.01.
    """

    reference: Encoder
    held_out: ClipStore
    seed: int
    scorers: Sequence[Scorer] = ()
    _clips: list[np.ndarray] = field(init=False)
    _added: np.ndarray = field(init=False)
    _removed: np.ndarray = field(init=False)
    _heard: Heard = field(init=False)
    _scores: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        n_clips = len(self.held_out.clips)
        self._clips = [self.held_out.clip(i)[:LONGEST] for i in range(n_clips)]
        added, removed = draw_pairs(n_clips, self.seed)
        order = np.random.default_rng(self.seed).permutation(len(added))[:PAIRS]
        self._added, self._removed = added[order], removed[order]
        self._heard = self._hear(self.reference)
        self._scores = self._score(self.reference, self._heard)

    def judge(self, variant: Encoder) -> Judgement:
        """Measure a variant and say what speaks against it."""
        heard = self._hear(variant)
        cosines = row_cosines(self._differences(heard), self._differences(self._heard))
        figures = {
            "pairs": float(len(cosines)),
            "difference_cosine_median": float(np.median(cosines)),
            "difference_cosine_p1": float(np.quantile(cosines, 0.01)),
            "batch_deviation": self._batch_deviation(variant),
        }
        faults = [
            f"{name} is {figures[name]:.4g}, at {side} {limit:g} is needed"
            for name, side, limit, is_met in (
                ("difference_cosine_median", "least", MEDIAN_COSINE, np.greater_equal),
                ("difference_cosine_p1", "least", FIRST_PERCENTILE, np.greater_equal),
                ("batch_deviation", "most", BATCH_TOLERANCE, np.less_equal),
            )
            if not is_met(figures[name], limit)
        ]
        for name, score in self._score(variant, heard).items():
            expected = self._scores[name]
            figures |= {name: score, f"{name}_float32": expected}
            if not score >= expected - ALLOWED_LOSS:
                faults.append(f"{name} is {score:.4g}, and {expected:.4g} in float32")
        return Judgement({name: round(value, 7) for name, value in figures.items()}, faults)

    def _hear(self, encoder: Encoder) -> Heard:
        mixtures = (
            mix(self._clips[a], self._clips[b])
            for a, b in zip(self._added, self._removed, strict=True)
        )
        return Heard(embed_all(encoder, self._clips), embed_all(encoder, mixtures))

    def _differences(self, heard: Heard) -> Float32[np.ndarray, "pairs dim"]:
        differences: np.ndarray = heard.mixed - heard.alone[self._removed]
        return differences

    def _score(self, encoder: Encoder, heard: Heard) -> dict[str, float]:
        scores = recall(encoder, heard, self._added, self._removed)
        for scorer in self.scorers:
            scores |= scorer(encoder)
        return scores

    def _batch_deviation(self, encoder: Encoder) -> float:
        """Compare clips encoded together with the same encoded alone."""
        lengths = np.linspace(LONGEST // 2, LONGEST, TOGETHER, dtype=int)
        clips = [clip[:n] for clip, n in zip(self._clips, lengths, strict=False)]
        together = encoder.embed(clips)
        alone = np.concatenate([encoder.embed([clip]) for clip in clips])
        deviations = np.abs(together - alone).max(axis=1) / np.abs(alone).max(axis=1)
        return float(deviations.max())


def recall(
    encoder: Encoder,
    heard: Heard,
    added: Int64[np.ndarray, " pairs"],
    removed: Int64[np.ndarray, " pairs"],
) -> dict[str, float]:
    """Search by difference, as the service does, for the clip that was added to each mixture."""
    mean, weight = encoder.mean, encoder.reference_weight
    queries = centre(heard.mixed - weight * heard.alone[removed], (1.0 - weight) * mean)
    ranks = rank_of_added(queries @ centre(heard.alone, mean).T, added, removed)
    return {f"recall_at_{k}": float((ranks <= k).mean()) for k in (1, 10)}


def row_cosines(
    a: Float[np.ndarray, "rows dim"], b: Float[np.ndarray, "rows dim"]
) -> Float[np.ndarray, " rows"]:
    """Return the cosine of each row of one with the same row of the other; of two zeros 1."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = (a * b).sum(axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    cosines: np.ndarray = np.divide(
        products, norms, out=np.where(both_zero, 1.0, 0.0), where=norms > 0
    )
    return cosines


def embed_all(
    encoder: Encoder, clips: Iterable[Float32[np.ndarray, " samples"]]
) -> Float32[np.ndarray, "clips dim"]:
    """Encode clips a few at a time, so that not all of them need be there at once."""
    return np.concatenate([encoder.embed(group) for group in _groups(clips)])


def _groups(clips: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    group: list[np.ndarray] = []
    for clip in clips:
        group.append(clip)
        if len(group) == TOGETHER:
            yield group
            group = []
    if group:
        yield group
