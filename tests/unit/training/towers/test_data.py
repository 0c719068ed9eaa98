from __future__ import annotations

import numpy as np
import torch

from service.bundle.files import Bundle
from training.scenes.load import SceneSet
from training.towers.data import TowerData
from training.towers.networks import TowerNetwork
from training.towers.recipe import TowersRecipe
from training.towers.references import NONE
from training.towers.training_pairs import clip_at, list_training_pairs
from training.towers.vocabulary import Vocabulary, added_label


def test_the_tensors_agree_with_the_scenes(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary, bundle: Bundle
) -> None:
    assert torch.equal(data.clips[0::2], torch.from_numpy(scenes.query.astype(np.float32)))
    assert torch.equal(data.clips[1::2], torch.from_numpy(scenes.target.astype(np.float32)))
    assert torch.equal(data.mean, torch.from_numpy(bundle.mean))
    n = len(scenes.pairs)
    assert data.background_ids[:n].tolist() == [[pair.background_id] * 2 for pair in scenes.pairs]
    assert data.pair_clips[:n].tolist() == [[2 * i, 2 * i + 1] for i in range(n)]
    assert len(data.pair_clips) > n
    for row, encoded in enumerate(data.clip_labels):
        labels = {vocabulary.labels[i] for i in torch.nonzero(encoded)[:, 0].tolist()}
        assert labels == set(clip_at(scenes, row).labels)


def test_the_added_label_is_known_in_both_directions(
    data: TowerData, scenes: SceneSet, vocabulary: Vocabulary, recipe: TowersRecipe
) -> None:
    n_events = 0
    pairs = list_training_pairs(scenes, recipe.pairs.crossed, recipe.text.seed)
    for row, pair in enumerate(pairs):
        for direction, directed in enumerate((pair, pair.reversed)):
            label = added_label(directed.changes)
            column = int(data.added_labels[row, direction])
            assert label == (None if column == NONE else vocabulary.labels[column])
            event = int(data.added_events[row, direction])
            if event != NONE:
                n_events += 1
                assert scenes.event_rows[event].label == label
                assert scenes.event_rows[event].path == pair.sources[str(label)].path
    assert n_events > 10


def test_a_difference_can_be_taken_before_or_after_normalisation(
    data: TowerData, recipe: TowersRecipe
) -> None:
    network = recipe.network.model_copy(update={"components": 9})
    tower = TowerNetwork(data.clips.shape[1], network, unit=False, components=9)
    tower.fit_statistics(data.clips)
    tower.fit_components(data.clips)
    normalised, weight = data.normalised_by(tower), data.reference_weight
    before = tower.normalise(data.clips[1::2] - weight * (data.clips[0::2] - data.mean))
    after = normalised.clips[1::2] - weight * (normalised.clips[0::2] - normalised.mean)
    assert normalised.clips.shape == (len(data.clips), 9)
    assert torch.allclose(before, after, atol=1e-4)
