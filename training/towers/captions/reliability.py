"""Reliability of each concept: how often a search finds it in windows that were not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64

from service.difference import l2_normalize
from training.data.splits import hash_recording
from training.towers.captions.data import CaptionData
from training.towers.networks import TowerNetworks

FOLDS = 4
FIRST = 5
"""Hits of a search that count."""
FEWEST = 3
"""Fewest windows that must hold a concept."""

TrainOn = Callable[[CaptionData], TowerNetworks]
"""Trains towers on some of the windows."""


def measure_reliability(data: CaptionData, train: TrainOn) -> dict[int, float]:
    """Measure the share of the first five hits of a search for each concept that hold it.

    Towers are trained on three quarters of the recordings and search the windows of the last
    quarter, in turn. A window holds a concept if it has a weight in its targets: the label says
    so, or the teacher hears it. Windows that are unsure are left out. The share is relative to the
    best that is possible where fewer than five windows of a quarter hold the concept.

    Args:
        data: All windows, with raw embeddings.
        train: Trains towers.

    Returns:
        The share for each column of a concept that three windows hold in quarters of their own.
    """
    folds = np.array([int(hash_recording(name)[:8], 16) % FOLDS for name in data.recordings])
    found = np.zeros(len(data.variants))
    possible = np.zeros(len(data.variants))
    for fold in range(FOLDS):
        tested = np.flatnonzero(folds == fold)
        networks = train(data.select(np.flatnonzero(folds != fold)))
        hits, best = _search(data, tested, networks)
        found += hits
        possible += best
    n_windows = (data.weights > 0).sum(dim=0).numpy()
    measured = np.flatnonzero((n_windows >= FEWEST) & (possible >= FEWEST))
    return {int(column): float(found[column] / possible[column]) for column in measured}


def _describe(networks: TowerNetworks, data: CaptionData) -> Float32[np.ndarray, "concepts dim"]:
    """Return the mean direction of all descriptions of each concept."""
    vectors = l2_normalize(networks.text(data.texts).numpy())
    return l2_normalize(np.stack([vectors[rows].mean(axis=0) for rows in data.variants]))


def _search(
    data: CaptionData, tested: Int64[np.ndarray, " windows"], networks: TowerNetworks
) -> tuple[np.ndarray, np.ndarray]:
    """Return the right hits of a search for each concept, and the most that are possible."""
    windows = data.windows[tested]
    sounds = l2_normalize(networks.audio(windows).numpy())
    scores = sounds @ _describe(networks, data).T
    scores[data.is_unsure[tested].numpy()] = -np.inf
    holds = data.weights[tested].numpy() > 0
    first = np.argsort(-scores, axis=0, kind="stable")[:FIRST]
    hits = np.take_along_axis(holds, first, axis=0).sum(axis=0)
    return hits, np.minimum(holds.sum(axis=0), FIRST)
