"""The claim itself: in embedding space, is a mixture minus one of its sounds the other?

For pairs A, B of clips the encoder has not heard, A is added to B at a given level. The clip A is
then searched for, once by the mixture and once by what is left of it when a part ``w`` of B is
taken away, as the service does it (``service.difference``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int64

from service.difference import centre
from training.data.manifest import SourceClip
from training.errors import DatasetError
from training.evaluation.embeddings import embed_cached, hash_files, hash_parts, read_sound
from training.evaluation.encoders import Embedder
from training.export.reference_weight import WEIGHTS, mix, rank_of_added
from training.model.frontend import SAMPLE_RATE

LONGEST = 5 * SAMPLE_RATE
CANDIDATES = 1_000
FEWEST = 20
SNRS_DB = (-10.0, -5.0, 0.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Pool:
    """Clips to search among, one of each recording, and the pairs to search with.

    Attributes:
        clips: One more than the candidates of a search, since B is left out of every one.
        added: Row of A in each pair.
        reference: Row of B in each pair.
    """

    clips: list[SourceClip]
    added: Int64[np.ndarray, " pairs"]
    reference: Int64[np.ndarray, " pairs"]

    def load(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read the first five seconds of a clip."""
        return read_sound(self.clips[i].path)[:LONGEST]

    def load_mixture(self, snr_db: float) -> Callable[[int], Float32[np.ndarray, " samples"]]:
        """Give a reader of the mixture of each pair, A over B in power [dB]."""

        def load(pair: int) -> Float32[np.ndarray, " samples"]:
            a, b = self.load(int(self.added[pair])), self.load(int(self.reference[pair]))
            return mix(a, b, snr_db)

        return load

    def identity(self) -> str:
        """Hash what decides the sounds."""
        files = hash_files([clip.path for clip in self.clips])
        return hash_parts([files, LONGEST, self.added.tolist(), self.reference.tolist()])


def draw_pool(clips: Sequence[SourceClip], n_pairs: int, seed: int) -> Pool:
    """Draw the clips and pairs of a measurement from clips that were not heard.

    Args:
        clips: Unheard ones; one of each recording is taken.
        n_pairs: How many pairs; no clip is the A of two.
        seed: Of the draws.

    Raises:
        DatasetError: Fewer than 20 recordings are left.
    """
    random = np.random.default_rng(seed)
    of_recording: dict[str, SourceClip] = {}
    for i in random.permutation(len(clips)):
        of_recording.setdefault(clips[i].recording, clips[i])
    chosen = list(of_recording.values())[: CANDIDATES + 1]
    if len(chosen) < FEWEST:
        raise DatasetError(
            f"the encoder has not heard {len(chosen)} recordings of the data; separation is "
            f"measured on unheard ones only, and takes {FEWEST}"
        )
    added = random.permutation(len(chosen))[:n_pairs]
    steps = random.integers(1, len(chosen), added.size)
    return Pool(chosen, added, (added + steps) % len(chosen))


def measure_separation(
    embedder: Embedder,
    pool: Pool,
    cache: Path,
    mean: Float32[np.ndarray, " dim"] | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure ranks and cosines over levels of A and weights of B.

    Args:
        embedder: What is measured.
        pool: Clips and pairs.
        cache: Folder of caches.
        mean: What embeddings are seen from, the bundle's mean; None takes that of the pool.

    Returns:
        By level of A over B [dB] and by weight of B: ``median_rank`` of A among the candidates,
        ``first`` (share of pairs with A nearest), and ``cosine`` of what is left and A. Weight 0
        is the mixture itself.
    """
    embedder.fit(pool.load(i) for i in range(len(pool.clips)))
    identity = pool.identity()
    alone = np.asarray(embed_cached(embedder, pool.load, len(pool.clips), identity, cache))
    centred_on = alone.mean(axis=0) if mean is None else mean
    return {
        f"{snr_db:g}": _over_weights(
            np.asarray(
                embed_cached(
                    embedder,
                    pool.load_mixture(snr_db),
                    pool.added.size,
                    f"{identity} {snr_db:g} dB",
                    cache,
                )
            ),
            alone,
            pool,
            centred_on,
        )
        for snr_db in SNRS_DB
    }


def _over_weights(
    mixed: Float32[np.ndarray, "pairs dim"],
    alone: Float32[np.ndarray, "clips dim"],
    pool: Pool,
    mean: Float32[np.ndarray, " dim"],
) -> dict[str, dict[str, float]]:
    candidates = centre(alone, mean)
    figures = {}
    for weight in WEIGHTS:
        w = np.float32(weight)
        queries = centre(mixed - w * alone[pool.reference], (1 - w) * mean)
        figures[f"{weight:g}"] = _figures(queries, candidates, pool)
    return figures


def _figures(
    queries: Float[np.ndarray, "pairs dim"], candidates: Float[np.ndarray, "clips dim"], pool: Pool
) -> dict[str, float]:
    ranks = rank_of_added(queries @ candidates.T, pool.added, pool.reference)
    cosines = (queries * candidates[pool.added]).sum(axis=1)
    return {
        "median_rank": float(np.median(ranks)),
        "first": round(float((ranks == 1).mean()), 4),
        "cosine": round(float(cosines.mean()), 4),
    }
