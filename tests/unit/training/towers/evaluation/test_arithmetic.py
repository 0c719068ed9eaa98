from __future__ import annotations

import numpy as np
import pytest
import tiny_pairs

from service.difference import centre
from training.scenes.load import SceneSet
from training.towers.evaluation.arithmetic import add_centroids, choose_step, find_centroids
from training.towers.evaluation.ranks import measure_recall

MEAN = np.ones(tiny_pairs.DIM, np.float32)


def test_a_centroid_is_the_mean_direction_of_a_class(scenes: SceneSet) -> None:
    centroids = find_centroids(scenes, MEAN)
    assert set(centroids) == {*tiny_pairs.EVENTS, "bells"}
    dogs = [row.label == "dog" for row in scenes.event_rows]
    total = centre(scenes.events[dogs].astype(np.float32), MEAN).sum(axis=0)
    assert np.allclose(centroids["dog"], total / np.linalg.norm(total), atol=1e-6)
    assert all(np.linalg.norm(v) == pytest.approx(1.0, abs=1e-5) for v in centroids.values())


def test_centroids_of_added_sounds_are_added_and_of_removed_ones_subtracted(
    scenes: SceneSet,
) -> None:
    centroids = find_centroids(scenes, MEAN)
    query = centre(scenes.query.astype(np.float32), MEAN)
    for pair, before, after in zip(
        scenes.pairs, query, add_centroids(query, scenes.pairs, centroids, 0.5), strict=True
    ):
        if len(pair.changes) == 1:
            (change,) = pair.changes
            sign = 1 if change.kind in ("add", "louder", "more") else -1
            expected = before + 0.5 * sign * centroids[change.label]
            assert np.allclose(after, expected / np.linalg.norm(expected), atol=1e-5)
    assert np.allclose(add_centroids(query, scenes.pairs, centroids, 0.0), query, atol=1e-6)


def test_where_embeddings_add_up_arithmetic_helps(scenes: SceneSet) -> None:
    centroids = find_centroids(scenes, MEAN)
    step = choose_step(scenes, MEAN, centroids)
    query, items = (centre(x.astype(np.float32), MEAN) for x in (scenes.query, scenes.target))
    background_ids = np.array([pair.background_id for pair in scenes.pairs])
    moved = measure_recall(
        add_centroids(query, scenes.pairs, centroids, step), items, background_ids
    )
    assert moved["r_at_1"] > measure_recall(query, items, background_ids)["r_at_1"]
