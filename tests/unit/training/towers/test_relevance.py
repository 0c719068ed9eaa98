from __future__ import annotations

import numpy as np
import pytest
import tiny_pairs
import torch

from training.scenes.load import SceneSet
from training.towers.across_recordings import list_pairs_across_recordings
from training.towers.evaluation.fulfilment import fulfils
from training.towers.recordings import ClipRecordings
from training.towers.references import composition
from training.towers.relevance import ClipContents
from training.towers.training_pairs import TrainingPair, clip_at, list_training_pairs
from training.towers.vocabulary import Vocabulary

SCENES = tiny_pairs.make(8, 12, 5)
RELEVANCE = 0.6


@pytest.fixture(scope="module")
def pairs() -> list[TrainingPair]:
    rendered = list_training_pairs(SCENES, 0, 0)
    across = list_pairs_across_recordings(SCENES, ClipRecordings.of(SCENES), 1, 0)
    return [*rendered, *across[:48]]


def grade(pairs: list[TrainingPair], is_reversed: np.ndarray, relevance: float) -> np.ndarray:
    recordings = ClipRecordings.of(SCENES)
    contents = ClipContents.of(SCENES, recordings, pairs, Vocabulary.of(SCENES).labels)
    directed = [p.reversed if turned else p for p, turned in zip(pairs, is_reversed, strict=True)]
    query, target = (
        torch.tensor([getattr(p, end) for p in directed]) for end in ("query", "target")
    )
    rows = torch.arange(len(pairs))
    graded = contents.grade((query, target), rows, torch.from_numpy(is_reversed), relevance)
    return graded.numpy()


def naive(scenes: SceneSet, pair: TrainingPair, other: TrainingPair, relevance: float) -> float:
    """The documented formula for one query and the target of one other pair."""
    query, own, hit = (clip_at(scenes, row) for row in (pair.query, pair.target, other.target))
    if other.target == pair.target:
        return 1.0
    is_alike = own.labels[0] == hit.labels[0] and composition(own) == composition(hit)
    if not (is_alike and all(fulfils(change, query, hit) for change in pair.changes)):
        return 0.0
    is_own_other = pair.background_ids[1] != pair.background_ids[0]
    is_hit_other = other.background_ids[1] != pair.background_ids[0]
    return relevance ** max(1 + int(is_hit_other) - int(is_own_other), 0)


def test_the_grades_are_the_naive_ones(pairs: list[TrainingPair]) -> None:
    is_reversed = (np.random.default_rng(0).random(len(pairs)) < 0.4).astype(np.int64)
    directed = [p.reversed if turned else p for p, turned in zip(pairs, is_reversed, strict=True)]
    found = grade(pairs, is_reversed, RELEVANCE)
    expected = [[naive(SCENES, a, b, RELEVANCE) for b in directed] for a in directed]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert {0.0, 1.0} < {round(float(value), 3) for value in np.unique(found)}
    assert np.isclose(found, RELEVANCE).any()
    assert np.isclose(found, RELEVANCE**2).any()


def test_the_own_target_is_the_most_relevant(pairs: list[TrainingPair]) -> None:
    found = grade(pairs, np.zeros(len(pairs), np.int64), RELEVANCE)
    assert (found.diagonal() == 1).all()
    assert (found <= 1).all()
