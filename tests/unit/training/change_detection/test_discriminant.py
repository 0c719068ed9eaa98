from __future__ import annotations

import numpy as np
import pytest

from service.retrieval.change_features import Discriminant
from training.change_detection.discriminant import fit_discriminant
from training.change_detection.features import (
    AXES,
    BLOCK_TRIALS,
    ExcerptEmbeddings,
    clip_features,
    prepare,
    principal_axes,
    window_features,
)
from training.change_detection.trials import DetectionTrials

DIM = 100


def embeddings(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    spread = np.geomspace(3.0, 0.1, DIM)
    drawn: np.ndarray = (5.0 + random.standard_normal((n, DIM)) * spread).astype(np.float32)
    return drawn


def trials(n: int) -> DetectionTrials:
    """Pair row 2i with row 2i + 1; the second half of the pairs have something added."""
    rows = np.arange(0, 2 * n, 2)
    is_added = np.arange(n) >= n // 2
    return DetectionTrials(
        rows, rows[:, None] + 1, np.arange(n) // 4, is_added, np.zeros(n, bool), np.ones(n)
    )


def prepared(rows: np.ndarray, seed: int = 1) -> ExcerptEmbeddings:
    """Prepare excerpts with five windows, which scatter around them."""
    random = np.random.default_rng(seed)
    windows = rows[:, None] + random.standard_normal((len(rows), 5, rows.shape[1]))
    return prepare(rows, windows.astype(np.float32), np.arange(len(rows)))


def test_the_axes_are_orthonormal_and_sorted_by_variance() -> None:
    rows = embeddings(400)
    origin, axes = principal_axes(rows)

    assert axes.shape == (DIM, AXES)
    np.testing.assert_allclose(axes.T @ axes, np.eye(AXES), atol=1e-4)
    spread = ((rows - origin) @ axes).std(axis=0)
    assert (np.diff(spread) < 1e-4).all()
    np.testing.assert_allclose(origin, rows.mean(axis=0), atol=1e-4)


def test_fewer_rows_than_axes_give_fewer_axes() -> None:
    _, axes = principal_axes(embeddings(5))
    assert axes.shape == (DIM, 4)


def test_the_mean_change_becomes_the_shift() -> None:
    rows, pairs = embeddings(400), trials(200)
    direction = np.zeros(DIM, np.float32)
    direction[3] = 8.0
    rows[pairs.mixtures[pairs.is_added]] += direction

    sounds = prepared(rows)
    found = fit_discriminant(sounds, pairs, np.zeros((0, 2), np.int64))

    # The mean of 100 differences of a spread of up to 4.2 is off by up to about 0.4 in each axis.
    np.testing.assert_allclose(found.axes @ found.shift, direction, atol=1.5)
    features = clip_features(found, sounds, pairs)
    assert features[pairs.is_added, 0].min() > np.quantile(features[~pairs.is_added, 0], 0.9)


def test_nuisances_reduce_the_distance_along_them() -> None:
    rows, pairs = embeddings(400), trials(200)
    louder = np.zeros(DIM, np.float32)
    louder[10] = 1.0
    changed = np.concatenate([rows, rows[:50] + 4 * louder])
    nuisances = np.stack([np.arange(400, 450), np.arange(50)], axis=1)

    plain = fit_discriminant(prepared(changed), pairs, np.zeros((0, 2), np.int64))
    robust = fit_discriminant(prepared(changed), pairs, nuisances)

    def distance(found: Discriminant) -> float:
        along = louder @ found.axes
        return float(along @ found.unchanged @ along)

    assert distance(robust) < 0.2 * distance(plain)


@pytest.mark.parametrize("n_references", [1, 3])
def test_features_of_trials_are_those_of_their_rows(n_references: int) -> None:
    rows, pairs = embeddings(60), trials(20)
    sounds = prepared(rows)
    found = fit_discriminant(sounds, pairs, np.zeros((0, 2), np.int64))
    n_trials = BLOCK_TRIALS + 3
    mixtures = np.arange(n_trials) % 20
    chosen = 20 + (np.arange(n_trials)[:, None] + np.arange(n_references)) % 40
    sides = np.zeros(n_trials, bool)
    chosen_trials = DetectionTrials(mixtures, chosen, mixtures, sides, sides, np.ones(n_trials))

    clips = clip_features(found, sounds, chosen_trials)
    windows = window_features(found, sounds, chosen_trials)

    along = found.project(rows)
    for i in (0, 1, BLOCK_TRIALS, n_trials - 1):
        expected = found.clip_features(along[[mixtures[i]]], along[chosen[i]][None])[0]
        np.testing.assert_allclose(clips[i], expected, rtol=1e-4)
        own, others = sounds.windows[mixtures[i]], sounds.windows[chosen[i]]
        np.testing.assert_allclose(windows[i], found.window_features(own, list(others)), rtol=1e-4)
