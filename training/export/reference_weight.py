"""Choose on held-out mixtures how much of a reference a search subtracts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.difference import centre
from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE

WEIGHTS = np.round(np.arange(0.0, 1.0001, 0.05), 2)
PAIRS_PER_CLIP = 4
LONGEST_SAMPLES = 5 * SAMPLE_RATE  # longer clips are cut


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """The chosen weight, and the measurements behind the choice.

    Attributes:
        weight: Weight of the reference at which the mean reciprocal rank is highest.
        n_clips: Number of held-out clips, the candidates of every search.
        n_pairs: Number of mixtures that were searched with.
        recall_at_1: Share of mixtures whose nearest clip is the one that was added, by weight.
        reciprocal_rank: Mean of 1 / rank of the clip that was added, by weight.
    """

    weight: float
    n_clips: int
    n_pairs: int
    recall_at_1: dict[float, float]
    reciprocal_rank: dict[float, float]


def choose_reference_weight(
    encoder: Encoder, store: ClipStore, mean: Float32[np.ndarray, " dim"], seed: int
) -> WeightChoice:
    """Choose the weight w of the reference on pairs of clips that were not trained on.

    Each clip A is added, at equal power, to other clips B. The difference of the mixture and B is
    searched for among all clips but B, as in the service (see
    ``service.difference.difference_query``). A should be the first hit.

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
    candidates = centre(clip_embeddings, mean)
    ranks = {}
    for w in WEIGHTS:
        differences = mixture_embeddings - w * clip_embeddings[references]
        queries = centre(differences, (1.0 - w) * mean)
        ranks[float(w)] = rank_of_added(queries @ candidates.T, added, references)
    reciprocal = {w: float((1.0 / rank).mean()) for w, rank in ranks.items()}
    first = {w: float((rank == 1).mean()) for w, rank in ranks.items()}
    best = max(reciprocal, key=lambda w: reciprocal[w])
    return WeightChoice(best, len(clips), len(mixtures), first, reciprocal)


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
