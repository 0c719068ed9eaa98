"""The baseline that knows the true change and adds or takes away the class's centroid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from service.difference import centre
from training.scenes.changes import ChangeKind
from training.scenes.load import SceneSet
from training.scenes.pair import Pair
from training.towers.evaluation.ranks import measure, unit

SIGNS: Mapping[ChangeKind, float] = {
    "add": 1.0,
    "louder": 1.0,
    "more": 1.0,
    "remove": -1.0,
    "quieter": -1.0,
    "less": -1.0,
}
STEPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)
CANDIDATES = 1_000  # training pairs that the step is chosen on


def find_centroids(
    scenes: SceneSet, mean: Float32[np.ndarray, " dim"]
) -> dict[str, Float32[np.ndarray, " dim"]]:
    """Average the training sounds of each label, as unit vectors seen from the mean.

    Args:
        scenes: A training side: clean events, and for kinds of background the clips over them.
        mean: The bundle's mean embedding.
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
    sums = {label: np.sum(vectors, axis=0) for label, vectors in members.items()}
    return {label: total / np.linalg.norm(total) for label, total in sums.items()}


def move(
    query: Float32[np.ndarray, "pairs dim"],
    pairs: Sequence[Pair],
    centroids: Mapping[str, Float32[np.ndarray, " dim"]],
    step: float,
) -> Float32[np.ndarray, "pairs dim"]:
    """Move centred queries by ``step`` along or against the centroid of each changed label."""
    moved = query.copy()
    for row, pair in enumerate(pairs):
        for change in pair.changes:
            if change.label in centroids:
                moved[row] += step * SIGNS[change.kind] * centroids[change.label]
    return unit(moved)


def choose_step(
    scenes: SceneSet,
    mean: Float32[np.ndarray, " dim"],
    centroids: Mapping[str, Float32[np.ndarray, " dim"]],
) -> float:
    """Choose the step that finds most targets first, among 1,000 training pairs."""
    pairs = scenes.pairs[:CANDIDATES]
    query = centre(np.asarray(scenes.query[:CANDIDATES], np.float32), mean)
    items = centre(np.asarray(scenes.target[:CANDIDATES], np.float32), mean)
    beds = np.array([pair.bed for pair in pairs])
    found = {
        step: measure(move(query, pairs, centroids, step), items, beds)["r_at_1"] for step in STEPS
    }
    return max(found, key=lambda step: found[step])
