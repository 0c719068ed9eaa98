"""A baseline: with the true change known, add or subtract the centroid of the changed class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from service.difference import centre, l2_normalize
from training.scenes.changes import SIGNS
from training.scenes.load import SceneSet
from training.scenes.pair import Pair
from training.towers.evaluation.ranks import measure_recall

STEPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)
N_PAIRS = 1_000  # training pairs that the step is chosen on

Centroids = Mapping[str, Float32[np.ndarray, " dim"]]


def find_centroids(scenes: SceneSet, mean: Float32[np.ndarray, " dim"]) -> Centroids:
    """Average the training sounds of each label, as unit vectors after subtracting the mean.

    Args:
        scenes: A training side: clean events, and for kinds of background the clips over them.
        mean: Mean embedding of the bundle.
    """
    members: dict[str, list[np.ndarray]] = defaultdict(list)
    events = centre(np.asarray(scenes.events, np.float32), mean)
    for row, event in zip(scenes.event_rows, events, strict=True):
        members[row.label].append(event)
    classes = set(members)
    queries = centre(np.asarray(scenes.query, np.float32), mean)
    for pair, query in zip(scenes.pairs, queries, strict=True):
        if pair.backgrounds[0].kind not in classes:
            members[pair.backgrounds[0].kind].append(query)
    return {label: l2_normalize(np.sum(vectors, axis=0)) for label, vectors in members.items()}


def add_centroids(
    query: Float32[np.ndarray, "pairs dim"],
    pairs: Sequence[Pair],
    centroids: Centroids,
    step: float,
) -> Float32[np.ndarray, "pairs dim"]:
    """Add ``step`` times the centroid of each changed label to centred queries, or subtract it."""
    moved = query.copy()
    for row, pair in enumerate(pairs):
        for change in pair.changes:
            if change.label in centroids:
                moved[row] += step * SIGNS[change.kind] * centroids[change.label]
    return l2_normalize(moved)


def choose_step(scenes: SceneSet, mean: Float32[np.ndarray, " dim"], centroids: Centroids) -> float:
    """Choose the step with the highest recall at 1 on the first 1,000 training pairs."""
    pairs = scenes.pairs[:N_PAIRS]
    query = centre(np.asarray(scenes.query[:N_PAIRS], np.float32), mean)
    items = centre(np.asarray(scenes.target[:N_PAIRS], np.float32), mean)
    background_ids = np.array([pair.background_id for pair in pairs])
    recall = {
        step: measure_recall(add_centroids(query, pairs, centroids, step), items, background_ids)[
            "r_at_1"
        ]
        for step in STEPS
    }
    return max(recall, key=lambda step: recall[step])
