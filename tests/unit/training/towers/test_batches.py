from __future__ import annotations

import numpy as np
import pytest
import tiny_pairs
import torch

from training.towers.batches import Batch, draw_batch, draw_batches, split_pairs
from training.towers.data import TowerData

BACKGROUND_IDS = np.repeat(np.arange(7), [10, 10, 10, 3, 1, 10, 9])
BOTH = np.stack([BACKGROUND_IDS, BACKGROUND_IDS], axis=1)
ROWS = np.arange(24)


def batch(data: TowerData, reversed_share: float) -> Batch:
    return draw_batch(data, ROWS, reversed_share, np.random.default_rng(0))


@pytest.mark.parametrize("group_size", [1, 4, 10])
def test_every_pair_is_drawn_once(group_size: int) -> None:
    rng = np.random.default_rng(0)
    batches = list(draw_batches(BACKGROUND_IDS, batch_size=12, group_size=group_size, rng=rng))
    assert sorted(np.concatenate(batches)) == list(range(len(BACKGROUND_IDS)))
    assert {len(batch) for batch in batches[:-1]} == {12}


def test_pairs_over_the_same_backgrounds_are_grouped() -> None:
    background_ids = np.repeat(np.arange(6), 8)
    rng = np.random.default_rng(0)
    (first, *_) = draw_batches(background_ids, batch_size=16, group_size=4, rng=rng)
    groups = background_ids[first].reshape(4, 4)
    assert (groups == groups[:, :1]).all()


def test_a_last_batch_of_one_is_dropped() -> None:
    rng = np.random.default_rng(0)
    batches = list(draw_batches(np.arange(9), batch_size=4, group_size=1, rng=rng))
    assert [len(batch) for batch in batches] == [4, 4]


def test_every_epoch_has_another_order() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        np.concatenate(list(draw_batches(BACKGROUND_IDS, batch_size=12, group_size=4, rng=rng)))
        for _ in range(2)
    )
    assert not np.array_equal(first, second)


def test_pairs_over_the_same_backgrounds_are_validated_together() -> None:
    trained, validated = split_pairs(BOTH, share=0.3, by_background=True, seed=0)
    assert sorted([*trained, *validated]) == list(range(len(BACKGROUND_IDS)))
    assert set(BACKGROUND_IDS[trained]).isdisjoint(BACKGROUND_IDS[validated])
    assert len(set(BACKGROUND_IDS[validated])) == 2


def test_single_pairs_are_validated_as_in_the_paper() -> None:
    trained, validated = split_pairs(BOTH, share=0.1, by_background=False, seed=0)
    assert len(validated) == round(0.1 * len(BACKGROUND_IDS))
    assert not set(trained) & set(validated)
    _, other = split_pairs(BOTH, share=0.1, by_background=False, seed=1)
    assert set(other) != set(validated)


def test_without_a_share_nothing_is_validated() -> None:
    trained, validated = split_pairs(BOTH, share=0.0, by_background=True, seed=0)
    assert (len(trained), len(validated)) == (len(BACKGROUND_IDS), 0)


def test_everything_of_a_reversed_pair_is_reversed(data: TowerData) -> None:
    forward, backward = batch(data, 0.0), batch(data, 1.0)
    assert torch.equal(backward.query, forward.target)
    assert torch.equal(backward.target, forward.query)
    assert torch.equal(backward.query_labels, forward.target_labels)
    assert torch.equal(backward.added_label, data.added_labels[ROWS, 1])
    assert torch.equal(backward.target_clip, data.pair_clips[ROWS, 0])
    texts = data.texts
    for row in ROWS:
        requests = texts.embeddings[texts.reversed_changes[row]]
        assert any(np.array_equal(backward.request[row].numpy(), each) for each in requests)
        descriptions = texts.embeddings[texts.clips[data.pair_clips[row, 0]]]
        found = backward.description[row].numpy()
        assert any(np.array_equal(found, each) for each in descriptions)


def test_the_share_of_reversed_pairs_is_that_of_the_recipe(data: TowerData) -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_batch(data, ROWS, 0.25, rng) for _ in range(40)]
    is_reversed = [(each.target_clip == data.pair_clips[ROWS, 0]).float().mean() for each in drawn]
    assert 0.2 < float(torch.stack(is_reversed).mean()) < 0.3


def test_a_pair_over_drawn_and_other_backgrounds_has_no_part() -> None:
    ids = np.array([[n, n] for n in range(8)] + [[n, (n + 1) % 8] for n in range(8)])
    trained, validated = split_pairs(ids, share=0.4, by_background=True, seed=0)
    drawn = {int(n) for n in ids[validated].ravel()}
    assert len(drawn) == 3
    for row, (first, second) in enumerate(ids):
        n_drawn = (int(first) in drawn) + (int(second) in drawn)
        assert (row in trained, row in validated) == (n_drawn == 0, n_drawn == 2)


def test_the_other_backgrounds_of_a_rendered_pair_go_with_those_of_its_query() -> None:
    ids = np.array([[n, -1 - n] for n in range(10)])
    trained, validated = split_pairs(ids, share=0.3, by_background=True, seed=0)
    assert len(validated) == 3
    assert sorted([*trained, *validated]) == list(range(10))


def test_references_and_grades_are_drawn_as_the_recipe_says(data: TowerData) -> None:
    plain = tiny_pairs.recipe()
    recipe = tiny_pairs.recipe(
        references={"other_recordings": 0.9, "most": 2}, loss={"relevance": 0.5}
    )
    rows = np.arange(40)
    without, with_plain, drawn = (
        draw_batch(data, rows, 0.5, np.random.default_rng(0), it) for it in (None, plain, recipe)
    )
    for each in (without, with_plain):
        assert torch.equal(each.reference, each.query)
        assert each.relevance is None
    assert torch.equal(with_plain.request, without.request)
    has_candidates = torch.from_numpy((data.references[rows] >= 0).any(axis=(1, 2)))
    is_other = (drawn.reference != drawn.query).any(dim=1)
    assert is_other.any()
    assert not (is_other & ~has_candidates).any()
    assert drawn.relevance is not None
    assert (drawn.relevance.diagonal() == 1).all()
