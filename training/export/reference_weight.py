"""Choose on held-out mixtures how much of a reference a search subtracts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.difference import centre
from service.inference.encoder import Encoder
from training.data.manifest import SourceClip
from training.data.splits import sources
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE

WEIGHTS = np.round(np.arange(0.0, 1.0001, 0.05), 2)
PAIRS_PER_CLIP = 4
FEWEST_OTHERS = 20  # pairs with another recording, for them to count
NONE = -1
LONGEST_SAMPLES = 5 * SAMPLE_RATE  # longer clips are cut

Rows = Int64[np.ndarray, " pairs"]


@dataclass(frozen=True, slots=True)
class Situation:
    """Searches with the same kind of reference.

    Attributes:
        n_pairs: Number of mixtures that were searched with.
        recall_at_1: Share of mixtures whose nearest clip is the one that was added, by weight.
        reciprocal_rank: Mean of 1 / rank of the clip that was added, by weight.
    """

    n_pairs: int
    recall_at_1: dict[float, float]
    reciprocal_rank: dict[float, float]


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """The chosen weight, and the measurements behind the choice.

    Attributes:
        weight: Weight of the reference at which the mean reciprocal rank is highest, averaged over
            both situations.
        n_clips: Number of held-out clips, the candidates of every search.
        same: The reference is the very clip in the mixture.
        other: The reference is another recording with the same label; None with too few of them.
    """

    weight: float
    n_clips: int
    same: Situation
    other: Situation | None


def choose_reference_weight(
    encoder: Encoder, store: ClipStore, mean: Float32[np.ndarray, " dim"], seed: int
) -> WeightChoice:
    """Choose the weight w of the reference on pairs of clips that were not trained on.

    Each clip A is added, at equal power, to other clips B. The difference of the mixture and the
    reference is searched for among all clips but the reference, as in the service (see
    ``service.difference.difference_query``). A should be the first hit. The reference is B or,
    where there is one, another recording with the label of B; both situations count alike.

    Args:
        encoder: The exported encoder, as it is served.
        store: Held-out clips, at least 3.
        mean: Mean embedding of the training clips.
        seed: Seed of the pairs.
    """
    clips = [store.clip(i)[:LONGEST_SAMPLES] for i in range(len(store.clips))]
    added, references = pair_clips(len(clips), seed)
    mixtures = [mix(clips[a], clips[b]) for a, b in zip(added, references, strict=True)]
    clip_embeddings = encoder.embed(clips)
    mixture_embeddings = encoder.embed(mixtures)
    others = other_recordings(store.clips, added, references, seed)
    rows = np.flatnonzero(others != NONE)

    def measure(chosen: Rows, references: Rows) -> Situation:
        embeddings = mixture_embeddings[chosen], clip_embeddings
        return _measure(embeddings, mean, added[chosen], references)

    same = measure(np.arange(len(added)), references)
    other = measure(rows, others[rows]) if len(rows) >= FEWEST_OTHERS else None
    ranks = [situation.reciprocal_rank for situation in (same, other) if situation]
    best = max(same.reciprocal_rank, key=lambda w: sum(rank[w] for rank in ranks))
    return WeightChoice(best, len(clips), same, other)


def other_recordings(clips: Sequence[SourceClip], added: Rows, references: Rows, seed: int) -> Rows:
    """Draw for each pair another recording with the label of its reference.

    Args:
        clips: The clips; the column ``label`` of their manifest is used.
        added: Row of the clip that is added, which is not drawn.
        references: Row of the reference.
        seed: Draws.

    Returns:
        A row for each pair; -1 where there is none, as for clips without labels.
    """
    rng = np.random.default_rng([seed, 1])
    rows: dict[str, list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        if label := clip.columns.get("label"):
            rows[label].append(row)
    drawn = np.full(len(references), NONE)
    for i, (a, b) in enumerate(zip(added, references, strict=True)):
        used = sources(clips[b]) | sources(clips[a])
        alike = rows.get(clips[b].columns.get("label", ""), [])
        fitting = [row for row in alike if used.isdisjoint(sources(clips[row]))]
        if fitting:
            drawn[i] = fitting[int(rng.integers(len(fitting)))]
    return drawn


def _measure(
    embeddings: tuple[Float32[np.ndarray, "pairs dim"], Float32[np.ndarray, "clips dim"]],
    mean: Float32[np.ndarray, " dim"],
    added: Rows,
    references: Rows,
) -> Situation:
    """Search with the difference of each mixture and its reference, at every weight."""
    mixtures, clips = embeddings
    candidates = centre(clips, mean)
    ranks = {}
    for w in WEIGHTS:
        queries = centre(mixtures - w * clips[references], (1.0 - w) * mean)
        ranks[float(w)] = rank_of_added(queries @ candidates.T, added, references)
    reciprocal = {w: float((1.0 / rank).mean()) for w, rank in ranks.items()}
    first = {w: float((rank == 1).mean()) for w, rank in ranks.items()}
    return Situation(len(added), first, reciprocal)


def pair_clips(
    n_clips: int, seed: int
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Pair every clip with 4 others.

    Returns:
        The clip that is added, and the clip it is added to, of each pair.
    """
    added = np.repeat(np.arange(n_clips), PAIRS_PER_CLIP)
    steps = np.random.default_rng(seed).integers(1, n_clips, len(added))
    return added, (added + steps) % n_clips


def mix(
    a: Float32[np.ndarray, " a_samples"], b: Float32[np.ndarray, " b_samples"], snr_db: float = 0.0
) -> Float32[np.ndarray, " samples"]:
    """Scale ``a`` and add it to ``b``; the shorter one is followed by silence.

    Args:
        a: The sound that is added; its level does not matter.
        b: The sound it is added to; its level stays.
        snr_db: Power of ``a`` relative to that of ``b`` in the mixture [dB].
    """
    mixture = np.zeros(max(a.size, b.size), np.float32)
    mixture[: b.size] += b
    power_a, power_b = float(np.square(a).mean()), float(np.square(b).mean())
    power = power_b * 10.0 ** (snr_db / 10.0)
    mixture[: a.size] += a * np.float32(np.sqrt(power / power_a) if power_a > 0 else 0.0)
    return mixture


def rank_of_added(
    scores: Float[np.ndarray, "pairs clips"],
    added: Int64[np.ndarray, " pairs"],
    references: Int64[np.ndarray, " pairs"],
) -> Float[np.ndarray, " pairs"]:
    """Rank the added clip of each pair among all clips but the reference; 1 is the best rank."""
    rows = np.arange(len(scores))
    scores = scores.copy()
    scores[rows, references] = -np.inf
    ranks: np.ndarray = 1.0 + (scores > scores[rows, added, None]).sum(axis=1)
    return ranks
