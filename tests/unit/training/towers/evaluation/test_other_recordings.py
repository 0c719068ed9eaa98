from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_pairs
from jaxtyping import Float32

from service.difference import l2_normalize
from training.errors import DatasetError
from training.scenes.load import SceneSet
from training.towers.evaluation.other_recordings import OtherRecordings, measure_embeddings

SCENES = tiny_pairs.make(3, 8, 9)  # two backgrounds of rain, and one of bells, without others
OTHER = tiny_pairs.with_other_recordings(SCENES)
MEAN = np.ones(tiny_pairs.DIM, np.float32)


def unit(embeddings: np.ndarray) -> Float32[np.ndarray, "pairs dim"]:
    return l2_normalize(np.asarray(embeddings, np.float32) - MEAN)


def test_only_pairs_with_other_recordings_count() -> None:
    test = OtherRecordings.of(SCENES, OTHER)
    kinds = {SCENES.pairs[row].backgrounds[0].kind for row in test.rows}
    assert kinds == {"rain"}
    assert len(test.rows) == 16
    np.testing.assert_array_equal(test.targets, OTHER.target[test.rows].astype(np.float32))


def test_the_own_target_is_ranked_among_those_of_all_other_pairs() -> None:
    """Naively: the candidates are the usual ones, with the own one replaced."""
    test = OtherRecordings.of(SCENES, OTHER)
    queries, items, own = unit(SCENES.query), unit(SCENES.target), unit(test.targets)
    found = test.rank(queries, items, own)
    for i, row in enumerate(test.rows):
        candidates = items.copy()
        candidates[row] = own[i]
        scores = candidates @ queries[row]
        assert found[i] == 1 + np.sum(np.delete(scores, row) > scores[row])


def test_other_recordings_are_harder_to_find_by_the_sound_alone() -> None:
    test = OtherRecordings.of(SCENES, OTHER)
    same = dataclasses.replace(test, targets=np.asarray(SCENES.target, np.float32)[test.rows])
    assert measure_embeddings(test, MEAN)["r_at_5"] < measure_embeddings(same, MEAN)["r_at_5"]


@pytest.mark.parametrize("other", [SCENES, tiny_pairs.make(3, 8, 1), tiny_pairs.make(2, 8, 9)])
def test_scenes_of_other_pairs_are_refused(other: SceneSet) -> None:
    with pytest.raises(DatasetError, match="--other-recordings 1"):
        OtherRecordings.of(SCENES, other)
