"""Evaluations that the precision gate can run in addition to its own."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32

from service.inference.encoder import Encoder
from training.evaluation.bgknown import SEEDS, BgKnown, run_probes
from training.evaluation.embeddings import embed_cached
from training.evaluation.encoders import BundleEmbedder
from training.evaluation.measure import BGKNOWN_RATE
from training.evaluation.probe import ProbeSettings
from training.export.gate import Scorer


def bgknown_scorer(folder: Path) -> Scorer:
    """Make a scorer of Background-known ESC-50 with the background itself as the reference.

    This is column (a) of the paper's table 1: a linear layer classifies events by the difference
    of mixture and background.

    Args:
        folder: A data set made by ``minuend-train data bgknown``.

    Raises:
        DatasetError: The folder holds no such data set.
    """
    data = BgKnown.open(folder)
    settings = ProbeSettings(learning_rate=BGKNOWN_RATE)

    def score(encoder: Encoder) -> dict[str, float]:
        accuracies = run_probes(_differences(encoder, data), data, settings, SEEDS)
        return {"bgknown_a": float(np.mean(accuracies))}

    return score


def _differences(encoder: Encoder, data: BgKnown) -> Float32[np.ndarray, "rows dim"]:
    embedder = BundleEmbedder(encoder, None)
    # Caches are named by the fingerprint, which all variants share.
    with TemporaryDirectory() as cache:
        mixtures, references = (
            np.array(embed_cached(embedder, data.loader(part), len(data.rows), part, Path(cache)))
            for part in ("mixture", "a")
        )
    differences: np.ndarray = mixtures - references
    return differences
