from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tiny_pairs
import torch

from service.bundle.files import Bundle
from training.errors import DatasetError, DivergenceError
from training.towers.data import TowerData, build_tower_data
from training.towers.evaluation.evaluate import evaluate_towers, prepare_evaluation
from training.towers.evaluation.projector import TowerProjector
from training.towers.recipe import TowersRecipe
from training.towers.train import train_towers
from training.towers.vocabulary import Vocabulary


def test_towers_learn_to_find_the_target(bundle: Bundle) -> None:
    """Scenes in which embeddings add up, over backgrounds that were not trained on."""
    words, trained, tested = (
        tiny_pairs.WordVectors(),
        *(tiny_pairs.make(n, 10, seed) for n, seed in ((24, 1), (6, 2))),
    )
    recipe = tiny_pairs.recipe(
        optim={"epochs": 40, "batch_size": 60}, network={"dim": 32, "width": 48}
    )
    vocabulary = Vocabulary.of(trained)
    trained_towers = train_towers(
        recipe, build_tower_data(trained, vocabulary, words, recipe, bundle)
    )
    found = evaluate_towers(
        prepare_evaluation(tested), TowerProjector(trained_towers.networks, words)
    )["systems"]
    both = found["audio_and_text"]
    for name in ("audio_alone", "text_alone"):
        assert both["r_at_1"] > found[name]["r_at_1"]
        assert both["r_at_10"] > found[name]["r_at_10"]
    assert trained_towers.history[-1]["loss"] < 0.7 * trained_towers.history[0]["loss"]


def test_the_same_recipe_gives_the_same_towers_and_another_seed_others(
    data: TowerData, recipe: TowersRecipe
) -> None:
    torch.manual_seed(5)
    first = train_towers(recipe, data).networks.state_dict()
    torch.manual_seed(6)
    before = torch.get_rng_state()
    second = train_towers(recipe, data).networks.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    other = train_towers(recipe.model_copy(update={"seed": 1}), data).networks.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["audio.exit.weight"], other["audio.exit.weight"])


def test_the_state_with_the_lowest_validation_loss_is_kept(data: TowerData) -> None:
    # A rate at which the loss rises at some point.
    recipe = tiny_pairs.recipe(optim={"epochs": 8, "learning_rate": 0.3})
    trained_towers = train_towers(recipe, data)
    losses = [line["validation"] for line in trained_towers.history]
    assert trained_towers.loss == min(losses)
    assert trained_towers.epoch == 1 + losses.index(min(losses))
    again = train_towers(
        tiny_pairs.recipe(optim={"epochs": trained_towers.epoch, "learning_rate": 0.3}), data
    )
    for name, value in again.networks.state_dict().items():
        assert torch.equal(value, trained_towers.networks.state_dict()[name]), name


def test_without_validation_the_last_state_is_kept(data: TowerData) -> None:
    trained_towers = train_towers(tiny_pairs.recipe(pairs={"validation": 0}), data)
    assert trained_towers.epoch == 4
    assert math.isnan(trained_towers.loss)
    assert all("validation" not in line for line in trained_towers.history)


def test_the_temperature_changes_only_if_it_is_trained(data: TowerData) -> None:
    for learned in (True, False):
        trained_towers = train_towers(tiny_pairs.recipe(loss={"learn_temperature": learned}), data)
        assert (
            trained_towers.history[-1]["temperature"] == pytest.approx(0.07, rel=1e-5)
        ) is not learned


def test_a_cosine_schedule_ends_slower_than_it_began(data: TowerData) -> None:
    constant, cosine = (
        train_towers(tiny_pairs.recipe(optim={"schedule": name}), data).history
        for name in ("constant", "cosine")
    )
    assert cosine[0] == constant[0]
    assert cosine[-1] != constant[-1]


def test_too_few_pairs_are_refused(data: TowerData, recipe: TowersRecipe) -> None:
    few = dataclasses.replace(data, background_ids=np.zeros((3, 2), int))
    with pytest.raises(DatasetError, match="3 pairs are too few"):
        train_towers(recipe, few)


def test_a_training_that_diverges_is_stopped(data: TowerData, recipe: TowersRecipe) -> None:
    broken = dataclasses.replace(data, clips=torch.full_like(data.clips, torch.nan))
    with pytest.raises(DivergenceError, match=r"optim\.learning_rate"):
        train_towers(recipe, broken)
