from __future__ import annotations

import numpy as np
import pytest

from service.difference import l2_normalize
from training.towers.evaluation.ranks import (
    chance_recall,
    measure_recall,
    rank_targets,
    recalls,
    recalls_by_kind,
)


def test_items_with_equal_scores_have_the_better_rank() -> None:
    same = np.ones((4, 2), np.float32)
    assert rank_targets(same, same).tolist() == [1, 1, 1, 1]


def test_ranks_are_the_naive_ones() -> None:
    rng = np.random.default_rng(0)
    queries, items = (l2_normalize(rng.normal(size=(30, 6))) for _ in range(2))
    groups = rng.integers(0, 4, 30)
    scores = queries @ items.T
    for i, (rank, within) in enumerate(
        zip(rank_targets(queries, items), rank_targets(queries, items, groups), strict=True)
    ):
        higher = [j for j in range(30) if scores[i, j] > scores[i, i]]
        assert rank == 1 + len(higher)
        assert within == 1 + sum(groups[j] == groups[i] for j in higher)


def test_recall_is_the_share_of_ranks_up_to_k() -> None:
    found = recalls(np.array([1, 2, 5, 6, 10, 11, 400, 1]))
    assert found == {"r_at_1": 2 / 8, "r_at_5": 4 / 8, "r_at_10": 6 / 8}


def test_a_perfect_search_finds_everything_first() -> None:
    items = l2_normalize(np.random.default_rng(0).normal(size=(20, 8)))
    found = measure_recall(items, items, np.repeat([0, 1], 10))
    assert found["r_at_1"] == found["bed_r_at_10"] == found["bed_mean_rank"] == 1


def test_chance_is_the_mean_recall_of_random_vectors() -> None:
    background_ids = np.repeat(np.arange(10), 20)
    rng = np.random.default_rng(0)
    runs = [
        measure_recall(
            *(l2_normalize(rng.normal(size=(200, 16))) for _ in range(2)), background_ids
        )
        for _ in range(30)
    ]
    for name, expected in chance_recall(background_ids).items():
        found = float(np.mean([run[name] for run in runs]))
        assert found == pytest.approx(expected, rel=0.25), name


def test_recall_by_kind_counts_the_pairs_of_each() -> None:
    kinds = {"add": np.array([0, 2]), "less": np.array([1]), "more": np.array([], np.int64)}
    found = recalls_by_kind(np.array([1, 20, 7]), kinds)
    assert found["add"] == {"pairs": 2, "r_at_1": 0.5, "r_at_5": 0.5, "r_at_10": 1.0}
    assert found["less"]["r_at_10"] == 0.0
    assert "more" not in found
