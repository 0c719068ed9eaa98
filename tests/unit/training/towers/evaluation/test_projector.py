from __future__ import annotations

import copy

import numpy as np
import pytest
import tiny_pairs
import torch

from service.bundle.files import Bundle
from service.difference import remainder
from training.scenes.load import SceneSet
from training.towers.difference_network import DifferenceNetwork
from training.towers.evaluation import projector
from training.towers.evaluation.projector import TowerProjector
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache


def test_vectors_do_not_depend_on_the_batch_size(
    loaded: LoadedTowers, cache: TextCache, scenes: SceneSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers = TowerProjector(loaded.networks, cache)
    whole = towers.project_audio(scenes.query)
    monkeypatch.setattr(projector, "BATCH_ROWS", 5)
    assert np.allclose(towers.project_audio(scenes.query), whole, atol=1e-6)
    assert whole.shape == (len(scenes.pairs), 16)
    assert scenes.query.shape[1] == tiny_pairs.DIM


def test_differences_are_projected_by_the_weight_or_by_the_trained_network(
    loaded: LoadedTowers, cache: TextCache, scenes: SceneSet, bundle: Bundle
) -> None:
    mixtures, references = scenes.target[:9], scenes.query[:9]
    towers = TowerProjector(loaded.networks, cache)
    weighted = towers.project_differences(mixtures, references, bundle.mean, 0.7)
    rest = remainder(*(x.astype(np.float32) for x in (mixtures, references)), bundle.mean, 0.7)
    np.testing.assert_array_equal(weighted, towers.project_audio(rest))

    networks = copy.deepcopy(loaded.networks)
    n_used = networks.audio.entry.in_features
    networks.difference = DifferenceNetwork(n_used, 8, 0.0).eval()
    trained = TowerProjector(networks, cache)
    found = trained.project_differences(mixtures, references, bundle.mean, 0.7)
    np.testing.assert_allclose(found, weighted, atol=1e-4)
    torch.nn.init.normal_(networks.difference.exit.weight)
    found = trained.project_differences(mixtures, references, bundle.mean, 0.7)
    assert np.abs(found - weighted).max() > 1e-2
