"""The gate for precision variants: how close a variant must be to the float32 encoder.

Embeddings may agree to four digits while their differences do not. So differences, of held-out
mixtures and references, are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.difference import centre
from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.export.reference_weight import LONGEST_SAMPLES, mix, pair_clips, rank_of_added

PAIRS = 500
MEDIAN_COSINE = 0.995
FIRST_PERCENTILE = 0.95
ALLOWED_LOSS = 0.01  # of a score; scores are between 0 and 1
BATCH_TOLERANCE = 1e-5  # of the largest value of an embedding
BATCH = 16  # clips encoded in one call

Scorer = Callable[[Encoder], Mapping[str, float]]
"""Measures an encoder: scores by name, each between 0 and 1, higher is better."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """Result of the gate for one variant.

    Attributes:
        figures: Measurements, by name.
        faults: Reasons not to ship the variant; empty if it passed.
    """

    figures: dict[str, float]
    faults: list[str]


@dataclass(frozen=True, slots=True)
class PairEmbeddings:
    """Embeddings by one encoder of the held-out clips and of their mixtures.

    Attributes:
        clips: Float32 [clips dim].
        mixtures: Float32 [pairs dim].
    """

    clips: np.ndarray
    mixtures: np.ndarray


class PrecisionGate:
    """Compares variants with the float32 encoder on held-out clips.

    Args:
        float32: The float32 encoder.
        held_out: Clips that were not trained on, at least 3.
        seed: Seed of the pairs.
        scorers: Further measurements; a variant may lose 0.01 in each.
    """

    def __init__(
        self, float32: Encoder, held_out: ClipStore, seed: int, scorers: Sequence[Scorer] = ()
    ) -> None:
        self.float32 = float32
        self._scorers = scorers
        n_clips = len(held_out.clips)
        self._clips = [held_out.clip(i)[:LONGEST_SAMPLES] for i in range(n_clips)]
        added, references = pair_clips(n_clips, seed)
        order = np.random.default_rng(seed).permutation(len(added))[:PAIRS]
        self._added, self._references = added[order], references[order]
        self._embeddings = self._embed(float32)
        self._scores = self._score(float32, self._embeddings)

    def check(self, variant: Encoder) -> GateReport:
        """Measure a variant and compare it with the limits."""
        embeddings = self._embed(variant)
        cosines = row_cosines(self._differences(embeddings), self._differences(self._embeddings))
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
        for name, score in self._score(variant, embeddings).items():
            expected = self._scores[name]
            figures |= {name: score, f"{name}_float32": expected}
            if not score >= expected - ALLOWED_LOSS:
                faults.append(f"{name} is {score:.4g}, and {expected:.4g} in float32")
        return GateReport({name: round(value, 7) for name, value in figures.items()}, faults)

    def _embed(self, encoder: Encoder) -> PairEmbeddings:
        mixtures = (
            mix(self._clips[a], self._clips[r])
            for a, r in zip(self._added, self._references, strict=True)
        )
        return PairEmbeddings(embed_all(encoder, self._clips), embed_all(encoder, mixtures))

    def _differences(self, embeddings: PairEmbeddings) -> Float32[np.ndarray, "pairs dim"]:
        differences: np.ndarray = embeddings.mixtures - embeddings.clips[self._references]
        return differences

    def _score(self, encoder: Encoder, embeddings: PairEmbeddings) -> dict[str, float]:
        scores = measure_recall(encoder, embeddings, self._added, self._references)
        for scorer in self._scorers:
            scores |= scorer(encoder)
        return scores

    def _batch_deviation(self, encoder: Encoder) -> float:
        """Compare clips encoded in one batch with the same clips encoded one by one."""
        lengths = np.linspace(LONGEST_SAMPLES // 2, LONGEST_SAMPLES, BATCH, dtype=int)
        clips = [clip[:n] for clip, n in zip(self._clips, lengths, strict=False)]
        together = encoder.embed(clips)
        alone = np.concatenate([encoder.embed([clip]) for clip in clips])
        deviations = np.abs(together - alone).max(axis=1) / np.abs(alone).max(axis=1)
        return float(deviations.max())


def measure_recall(
    encoder: Encoder,
    embeddings: PairEmbeddings,
    added: Int64[np.ndarray, " pairs"],
    references: Int64[np.ndarray, " pairs"],
) -> dict[str, float]:
    """Search by difference, as the service does, for the clip that was added to each mixture."""
    mean, weight = encoder.mean, encoder.reference_weight
    differences = embeddings.mixtures - weight * embeddings.clips[references]
    queries = centre(differences, (1.0 - weight) * mean)
    ranks = rank_of_added(queries @ centre(embeddings.clips, mean).T, added, references)
    return {f"recall_at_{k}": float((ranks <= k).mean()) for k in (1, 10)}


def row_cosines(
    a: Float[np.ndarray, "rows dim"], b: Float[np.ndarray, "rows dim"]
) -> Float[np.ndarray, " rows"]:
    """Return the cosine of each row of ``a`` with the same row of ``b``; of two zeros it is 1."""
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
    """Encode clips in small batches, so that not all of them are in memory at once."""
    remaining = iter(clips)
    batches = iter(lambda: list(islice(remaining, BATCH)), [])
    return np.concatenate([encoder.embed(batch) for batch in batches])
