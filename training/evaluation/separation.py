"""Separability: is the embedding of A + B, minus that of B, close to that of A?

For pairs A, B of clips that the encoder was not trained on, A is added to B at a given level. The
clip A is then searched for among other clips: by the mixture, and by the mixture minus a part
``w`` of B, computed as by the service (``service.difference``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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

MAX_SAMPLES = 5 * SAMPLE_RATE  # of a clip
MAX_CANDIDATES = 1_000
MIN_RECORDINGS = 20
SNRS_DB = (-10.0, -5.0, 0.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class SeparationSet:
    """Clips to search among, one of each recording, and pairs of them to search with.

    Attributes:
        clips: The candidates of a search and B, which is left out of the search.
        added: Row of A in each pair.
        reference: Row of B in each pair.
    """

    clips: list[SourceClip]
    added: Int64[np.ndarray, " pairs"]
    reference: Int64[np.ndarray, " pairs"]

    def load(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read the first five seconds of a clip."""
        return read_sound(self.clips[i].path)[:MAX_SAMPLES]

    def load_mixture(self, snr_db: float, pair: int) -> Float32[np.ndarray, " samples"]:
        """Mix the clips of a pair.

        Args:
            snr_db: Power of A over that of B [dB].
            pair: Number of the pair.
        """
        a, b = self.load(int(self.added[pair])), self.load(int(self.reference[pair]))
        return mix(a, b, snr_db)

    def identity(self) -> str:
        """Hash everything that the sounds depend on."""
        files = hash_files([clip.path for clip in self.clips])
        return hash_parts([files, MAX_SAMPLES, self.added.tolist(), self.reference.tolist()])


def draw_pairs(clips: Sequence[SourceClip], n_pairs: int, seed: int) -> SeparationSet:
    """Draw the candidates and pairs of a measurement.

    Args:
        clips: Clips that the encoder was not trained on; one of each recording is used.
        n_pairs: Largest number of pairs; no clip is A in two pairs.
        seed: Of the draws.

    Raises:
        DatasetError: There are fewer than 20 recordings.
    """
    random = np.random.default_rng(seed)
    of_recording: dict[str, SourceClip] = {}
    for i in random.permutation(len(clips)):
        of_recording.setdefault(clips[i].recording, clips[i])
    chosen = list(of_recording.values())[: MAX_CANDIDATES + 1]
    if len(chosen) < MIN_RECORDINGS:
        raise DatasetError(
            f"{len(chosen)} recordings of the data were not used in training; separation is "
            f"measured only on such recordings and needs {MIN_RECORDINGS}"
        )
    added = random.permutation(len(chosen))[:n_pairs]
    steps = random.integers(1, len(chosen), added.size)
    return SeparationSet(chosen, added, (added + steps) % len(chosen))


def evaluate_separation(
    embedder: Embedder,
    data: SeparationSet,
    cache: Path,
    mean: Float32[np.ndarray, " dim"] | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure ranks and cosines over levels of A and weights of B.

    Args:
        embedder: The encoder to evaluate.
        data: Clips and pairs.
        cache: Folder of caches.
        mean: Mean that embeddings are centred on, that of the bundle; None takes the mean of the
            clips.

    Returns:
        By level of A over B [dB] and by weight of B: ``median_rank`` of A among the candidates,
        ``first``, the share of pairs with A ranked first, and ``cosine`` between the remainder
        and A. Weight 0 is the mixture itself.
    """
    embedder.fit(data.load(i) for i in range(len(data.clips)))
    identity = data.identity()
    clips = np.asarray(embed_cached(embedder, data.load, len(data.clips), identity, cache))
    mean = clips.mean(axis=0) if mean is None else mean
    figures = {}
    for snr_db in SNRS_DB:
        load, name = partial(data.load_mixture, snr_db), f"{identity} {snr_db:g} dB"
        mixtures = np.asarray(embed_cached(embedder, load, data.added.size, name, cache))
        figures[f"{snr_db:g}"] = _over_weights(mixtures, clips, data, mean)
    return figures


def _over_weights(
    mixtures: Float32[np.ndarray, "pairs dim"],
    clips: Float32[np.ndarray, "clips dim"],
    data: SeparationSet,
    mean: Float32[np.ndarray, " dim"],
) -> dict[str, dict[str, float]]:
    candidates = centre(clips, mean)
    figures = {}
    for weight in WEIGHTS:
        w = np.float32(weight)
        queries = centre(mixtures - w * clips[data.reference], (1 - w) * mean)
        figures[f"{weight:g}"] = _figures(queries, candidates, data)
    return figures


def _figures(
    queries: Float[np.ndarray, "pairs dim"],
    candidates: Float[np.ndarray, "clips dim"],
    data: SeparationSet,
) -> dict[str, float]:
    ranks = rank_of_added(queries @ candidates.T, data.added, data.reference)
    cosines = (queries * candidates[data.added]).sum(axis=1)
    return {
        "median_rank": float(np.median(ranks)),
        "first": round(float((ranks == 1).mean()), 4),
        "cosine": round(float(cosines.mean()), 4),
    }
