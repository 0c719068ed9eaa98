from __future__ import annotations

import numpy as np
import torch

from service.bundle.files import Bundle
from training.scenes.load import SceneSet
from training.towers.data import NOTHING, TowerData
from training.towers.links import clip_of, list_links
from training.towers.networks import Tower
from training.towers.recipe import TowersRecipe
from training.towers.vocabulary import Vocabulary, appearing


def test_the_tensors_are_what_the_scenes_say(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary, bundle: Bundle
) -> None:
    assert torch.equal(data.clips[0::2], torch.from_numpy(scenes.query.astype(np.float32)))
    assert torch.equal(data.clips[1::2], torch.from_numpy(scenes.target.astype(np.float32)))
    assert torch.equal(data.mean, torch.from_numpy(bundle.mean))
    n = len(scenes.pairs)
    assert data.beds[:n].tolist() == [pair.bed for pair in scenes.pairs]
    assert data.ends[:n].tolist() == [[2 * i, 2 * i + 1] for i in range(n)]
    assert len(data.ends) > n
    for row, marks in enumerate(data.heard):
        heard = {vocabulary.labels[i] for i in torch.nonzero(marks)[:, 0].tolist()}
        assert heard == set(clip_of(scenes, row).labels)


def test_what_appears_is_known_in_both_directions(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary, recipe: TowersRecipe
) -> None:
    seen = 0
    for row, link in enumerate(list_links(scenes, recipe.pairs.crossed, recipe.text.seed)):
        for way, each in enumerate((link, link.reversed)):
            label = appearing(each.changes)
            column = int(data.appears[row, way])
            assert label == (None if column == NOTHING else vocabulary.labels[column])
            event = int(data.event[row, way])
            if event != NOTHING:
                seen += 1
                assert scenes.event_rows[event].label == label
                assert scenes.event_rows[event].path == link.sources[str(label)].path
    assert seen > 10


def test_a_difference_may_be_taken_before_or_after_it_is_seen(
    data: TowerData, recipe: TowersRecipe
) -> None:
    network = recipe.network.model_copy(update={"components": 9})
    tower = Tower(data.clips.shape[1], network, unit=False, components=9)
    tower.standardise(data.clips)
    tower.find_components(data.clips)
    seen, weight = data.seen_by(tower), data.reference_weight
    before = tower.see(data.clips[1::2] - weight * (data.clips[0::2] - data.mean))
    after = seen.clips[1::2] - weight * (seen.clips[0::2] - seen.mean)
    assert seen.clips.shape == (len(data.clips), 9)
    assert torch.allclose(before, after, atol=1e-4)
