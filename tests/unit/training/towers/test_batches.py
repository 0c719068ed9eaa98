from __future__ import annotations

import numpy as np
import pytest

from training.towers.batches import draw_batches, split_pairs

BEDS = np.repeat(np.arange(7), [10, 10, 10, 3, 1, 10, 9])


@pytest.mark.parametrize("per_bed", [1, 4, 10])
def test_every_pair_is_seen_once(per_bed: int) -> None:
    draw = np.random.default_rng(0)
    batches = list(draw_batches(BEDS, batch_size=12, per_bed=per_bed, draw=draw))
    assert sorted(np.concatenate(batches)) == list(range(len(BEDS)))
    assert {len(batch) for batch in batches[:-1]} == {12}


def test_pairs_of_one_bed_stand_together() -> None:
    beds = np.repeat(np.arange(6), 8)
    draw = np.random.default_rng(0)
    (first, *_) = draw_batches(beds, batch_size=16, per_bed=4, draw=draw)
    groups = beds[first].reshape(4, 4)
    assert (groups == groups[:, :1]).all()


def test_a_last_batch_of_one_is_dropped() -> None:
    draw = np.random.default_rng(0)
    batches = list(draw_batches(np.arange(9), batch_size=4, per_bed=1, draw=draw))
    assert [len(batch) for batch in batches] == [4, 4]


def test_another_draw_gives_another_order() -> None:
    draw = np.random.default_rng(0)
    first, second = (
        np.concatenate(list(draw_batches(BEDS, batch_size=12, per_bed=4, draw=draw)))
        for _ in range(2)
    )
    assert not np.array_equal(first, second)


def test_whole_beds_are_kept_for_validation() -> None:
    trained, kept = split_pairs(BEDS, share=0.3, whole_beds=True, seed=0)
    assert sorted([*trained, *kept]) == list(range(len(BEDS)))
    assert set(BEDS[trained]).isdisjoint(BEDS[kept])
    assert len(set(BEDS[kept])) == 2


def test_single_pairs_are_kept_as_the_paper_does() -> None:
    trained, kept = split_pairs(BEDS, share=0.1, whole_beds=False, seed=0)
    assert len(kept) == round(0.1 * len(BEDS))
    assert not set(trained) & set(kept)
    assert set(split_pairs(BEDS, share=0.1, whole_beds=False, seed=1)[1]) != set(kept)


def test_without_a_share_nothing_is_kept() -> None:
    trained, kept = split_pairs(BEDS, share=0.0, whole_beds=True, seed=0)
    assert (len(trained), len(kept)) == (len(BEDS), 0)
