from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from training.towers.difference_network import DifferenceNetwork
from training.towers.export.fingerprint import towers_fingerprint
from training.towers.networks import TowerNetworks
from training.towers.recipe import TowersRecipe
from training.towers.run import LoadedTowers, load_towers
from training.towers.text_encoder_files import CONFIG, TOKENIZER, WEIGHTS
from training.towers.vocabulary import Vocabulary

EXPECTED = "46c864025a080fca561cb9efb6f5ccd01277bb8c3bfbb7b6e0344ad2886f654e"
"""Fingerprint of the weights below: libraries hold vectors under such fingerprints."""


def test_the_fingerprint_of_given_weights_never_changes() -> None:
    network = {"dim": 5, "width": 7, "standardise": True, "components": 3, "unit": "both"}
    recipe = TowersRecipe.model_validate({"name": "tiny", "network": network})
    networks = TowerNetworks(6, 4, 3, recipe.network, 0.07)
    weights = {
        name: torch.arange(values.numel(), dtype=torch.float32).reshape(values.shape) / 8
        for name, values in networks.state_dict().items()
    }
    networks.load_state_dict(weights)
    loaded = LoadedTowers(
        networks=networks,
        recipe=recipe,
        vocabulary=Vocabulary((), ()),
        bank=[],
        encoder="0" * 64,
        text_encoder={name: name for name in (WEIGHTS, CONFIG, TOKENIZER)},
        data={},
        sources=[],
        pairs=0,
        commit="",
    )
    assert towers_fingerprint(loaded) == EXPECTED


def test_every_input_of_the_vectors_changes_the_fingerprint(
    loaded: LoadedTowers, checkpoint: Path
) -> None:
    found = {towers_fingerprint(loaded)}
    for tower, name in (("audio", "exit.weight"), ("text", "mean")):
        other = load_towers(checkpoint)
        with torch.no_grad():
            getattr(other.networks, tower).state_dict()[name].view(-1)[0].add_(1e-3)
        found.add(towers_fingerprint(other))
    found.add(towers_fingerprint(dataclasses.replace(loaded, encoder="0" * 64)))
    text = loaded.text_encoder | {"tokenizer.json": "0" * 64}
    found.add(towers_fingerprint(dataclasses.replace(loaded, text_encoder=text)))
    recipe = loaded.recipe.model_copy(
        update={"text": loaded.recipe.text.model_copy(update={"max_tokens": 31})}
    )
    found.add(towers_fingerprint(dataclasses.replace(loaded, recipe=recipe)))
    longer = load_towers(checkpoint)
    longer.networks.text.length = 1.2
    found.add(towers_fingerprint(longer))
    assert len(found) == 7


def test_a_trained_difference_has_a_fingerprint(loaded: LoadedTowers, checkpoint: Path) -> None:
    found = {towers_fingerprint(loaded)}
    for bias in (0.0, 1.0):
        other = load_towers(checkpoint)
        n_used = other.networks.audio.entry.in_features
        other.networks.difference = DifferenceNetwork(n_used, 4, 0.0)
        for parameter in other.networks.difference.parameters():
            torch.nn.init.constant_(parameter, bias)
        found.add(towers_fingerprint(other))
    assert len(found) == 3


def test_parts_that_only_training_needs_do_not_change_it(
    loaded: LoadedTowers, checkpoint: Path
) -> None:
    other = load_towers(checkpoint)
    with torch.no_grad():
        other.networks.labels.weight.add_(1.0)
        other.networks.log_temperature.add_(1.0)
    assert towers_fingerprint(other) == towers_fingerprint(loaded)
