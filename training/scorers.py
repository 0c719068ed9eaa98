"""Evaluations that the precision gate can run in addition to its own."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32

from service.inference.encoder import Encoder
from training.datasets.sides import TEST, TRAIN
from training.evaluation.bgknown import SEEDS, BgKnown
from training.evaluation.embeddings import embed_cached
from training.evaluation.encoders import BundleEmbedder
from training.evaluation.measure import BGKNOWN_RATE
from training.evaluation.probe import ProbeSettings, run_probe
from training.evaluation.row_splits import stratified_splits
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
    labels = np.unique([row["label"] for row in data.rows], return_inverse=True)[1]
    settings = ProbeSettings(learning_rate=BGKNOWN_RATE)

    def score(encoder: Encoder) -> dict[str, float]:
        features = _differences(encoder, data)
        accuracies = []
        for seed in SEEDS:
            rows = stratified_splits(data.side(TRAIN), data.side(TEST), labels, seed)
            accuracies.append(run_probe(features, labels, rows, settings, seed))
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
