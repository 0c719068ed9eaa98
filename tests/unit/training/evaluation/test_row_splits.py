from __future__ import annotations

import numpy as np
import pytest

from training.errors import DatasetError
from training.evaluation.row_splits import stratified_splits


def test_a_tenth_of_1200_is_120_and_every_class_gives_its_share() -> None:
    labels = np.repeat(np.arange(50), 40)
    train = np.concatenate([np.arange(40 * c, 40 * c + 24) for c in range(50)])
    test = np.setdiff1d(np.arange(2000), train)
    found = stratified_splits(train, test, labels, seed=42)
    assert found.valid.size == 120
    counts = np.bincount(labels[found.valid], minlength=50)
    assert set(counts.tolist()) == {2, 3}
    assert np.array_equal(np.sort(np.concatenate([found.train, found.valid])), train)
    assert np.array_equal(found.test, test)


def test_a_class_of_one_stays_in_training_and_one_of_two_gives_one() -> None:
    labels = np.array([0] * 30 + [1] * 2 + [2])
    found = stratified_splits(np.arange(33), np.arange(0), labels, seed=0)
    assert labels[found.valid].tolist().count(1) == 1
    assert 2 not in labels[found.valid]
    assert set(labels[found.train].tolist()) == {0, 1, 2}


def test_the_draw_depends_on_the_seed() -> None:
    labels = np.repeat(np.arange(5), 20)
    rows = np.arange(100)
    one, same, other = (stratified_splits(rows, rows[:0], labels, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.valid, same.valid)
    assert not np.array_equal(one.valid, other.valid)
    assert one.valid.size == pytest.approx(10)


def test_without_a_class_of_two_there_is_no_validation_row() -> None:
    with pytest.raises(DatasetError, match="3 clips of 3 classes"):
        stratified_splits(np.arange(3), np.arange(0), np.arange(3), seed=0)
