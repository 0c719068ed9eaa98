from __future__ import annotations

import numpy as np
import torch

from service.bundle import Bundle
from training.scenes.load import SceneSet
from training.towers.data import NOTHING, TowerData
from training.towers.networks import Tower
from training.towers.recipe import TowersRecipe
from training.towers.vocabulary import Vocabulary, appearing


def test_the_tensors_are_what_the_scenes_say(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary, bundle: Bundle
) -> None:
    assert torch.equal(data.query, torch.from_numpy(scenes.query.astype(np.float32)))
    assert torch.equal(data.mean, torch.from_numpy(bundle.mean))
    assert data.beds.tolist() == [pair.bed for pair in scenes.pairs]
    for marks, pair in zip(data.heard_target, scenes.pairs, strict=True):
        heard = {vocabulary.labels[i] for i in torch.nonzero(marks)[:, 0].tolist()}
        assert heard == set(pair.target.labels)


def test_what_appears_is_known_in_both_directions(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary
) -> None:
    seen = 0
    for row, pair in enumerate(scenes.pairs):
        for way, each in enumerate((pair, pair.reversed)):
            label = appearing(each)
            column = int(data.appears[row, way])
            assert label == (None if column == NOTHING else vocabulary.labels[column])
            event = int(data.event[row, way])
            if event != NOTHING:
                seen += 1
                assert scenes.event_rows[event].label == label
                assert scenes.event_rows[event].path == pair.sources[str(label)].path
    assert seen > 10


def test_a_difference_may_be_taken_before_or_after_it_is_seen(
    data: TowerData, recipe: TowersRecipe
) -> None:
    network = recipe.network.model_copy(update={"components": 9})
    tower = Tower(data.query.shape[1], network, unit=False, components=9)
    tower.standardise(data.query)
    tower.find_components(data.query)
    seen, weight = data.seen_by(tower), data.reference_weight
    before = tower.see(data.target - weight * (data.query - data.mean))
    after = seen.target - weight * (seen.query - seen.mean)
    assert seen.query.shape == (len(data.beds), 9)
    assert torch.allclose(before, after, atol=1e-4)
