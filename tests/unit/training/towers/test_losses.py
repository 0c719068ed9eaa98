from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tiny_pairs
import torch
from torch import Tensor
from torch.nn import functional

from service.difference import remainder
from training.towers.batches import Batch, draw_batch
from training.towers.data import TowerData
from training.towers.losses import (
    compute_losses,
    contrastive_loss,
    label_loss,
    total_loss,
)
from training.towers.networks import TowerNetworks
from training.towers.recipe import TowersRecipe
from training.towers.references import NONE
from training.towers.train import new_networks

SCALE = torch.tensor(12.5)
ROWS = np.arange(24)


@pytest.fixture
def networks(data: TowerData, recipe: TowersRecipe) -> TowerNetworks:
    torch.manual_seed(0)
    return new_networks(recipe, data, ROWS).eval()


def draw(data: TowerData) -> Batch:
    return draw_batch(data, ROWS, 0.0, np.random.default_rng(0))


def unit_vectors(n: int, seed: int) -> Tensor:
    rows = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
    return rows / rows.norm(dim=1, keepdim=True)


def naive_contrastive(a: np.ndarray, b: np.ndarray, scale: float, is_same: np.ndarray) -> float:
    total = 0.0
    for x, y, same in ((a, b, is_same), (b, a, is_same.T)):
        for i in range(len(x)):
            compared = [j for j in range(len(y)) if j == i or not same[i, j]]
            terms = [math.exp(scale * float(x[i] @ y[j])) for j in compared]
            total -= math.log(math.exp(scale * float(x[i] @ y[i])) / sum(terms))
    return total / (2 * len(a))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_contrastive_loss_is_the_naive_one(share: float) -> None:
    a, b = unit_vectors(6, 0), unit_vectors(6, 1)
    drawn = np.random.default_rng(0).random((6, 6)) < share
    is_same = drawn | drawn.T
    found = contrastive_loss(a, b, SCALE, torch.from_numpy(is_same))
    expected = naive_contrastive(a.double().numpy(), b.double().numpy(), float(SCALE), is_same)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_label_loss_is_the_naive_cross_entropy() -> None:
    vectors, label_vectors = unit_vectors(5, 0), unit_vectors(3, 1)
    labels = torch.tensor([0, 2, 1, 1, 0])
    logits = float(SCALE) * (vectors.double() @ label_vectors.double().T).numpy()
    costs = [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(logits, labels.tolist(), strict=True)
    ]
    found = float(label_loss(vectors, label_vectors, labels, SCALE))
    assert found == pytest.approx(sum(costs) / len(costs), rel=1e-5)


def test_pairs_with_the_same_target_are_not_negatives(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    """A clip that is the target of two pairs is right for both."""
    clips = data.pair_clips.tolist()
    both = next(
        (i, j) for i, x in enumerate(clips) for j, y in enumerate(clips) if i < j and x[1] == y[1]
    )
    batch = draw_batch(data, np.array(both), 0.0, np.random.default_rng(0))
    found = compute_losses(networks, batch, data, recipe, with_events=False)["contrastive"]
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-6)


def test_only_losses_with_a_weight_are_computed(data: TowerData, networks: TowerNetworks) -> None:
    full = compute_losses(networks, draw(data), data, tiny_pairs.recipe(), with_events=True)
    assert set(full) == {"contrastive", "classification", "description", "events", "difference"}
    bare = tiny_pairs.recipe(
        loss={"description": 0, "events": 0, "difference": 0, "classification": 0}
    )
    found = compute_losses(networks, draw(data), data, bare, with_events=True)
    assert set(found) == {"contrastive"}


def test_the_total_weighs_each_loss(recipe: TowersRecipe) -> None:
    losses = {"contrastive": torch.tensor(2.0), "events": torch.tensor(4.0)}
    assert float(total_loss(losses, recipe)) == 2.0 + 0.5 * 4.0


def test_the_main_loss_is_that_of_the_composed_query(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    batch = draw(data)
    query = networks.audio.project(batch.query) + networks.text(batch.request)
    items = functional.normalize(networks.audio.project(batch.target), dim=-1)
    expected = contrastive_loss(functional.normalize(query, dim=-1), items, networks.scale)
    found = compute_losses(networks, batch, data, recipe, with_events=False)["contrastive"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(("query", "unused"), [("audio", "request"), ("text", "query")])
def test_a_baseline_does_not_use_the_other_term(
    data: TowerData, networks: TowerNetworks, query: str, unused: str
) -> None:
    recipe = tiny_pairs.recipe(network={"query": query}, loss={"classification": 0})
    batch = draw(data)
    other = dataclasses.replace(batch, **{unused: torch.randn_like(getattr(batch, unused))})
    found = [compute_losses(networks, b, data, recipe, with_events=False) for b in (batch, other)]
    assert torch.equal(found[0]["contrastive"], found[1]["contrastive"])


def test_the_difference_is_computed_as_in_the_service(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    normalised = data.normalised_by(networks.audio)
    batch = draw(normalised)
    rows = torch.nonzero(batch.added_label != NONE)[:, 0]
    clips = data.pair_clips[torch.from_numpy(ROWS)[rows]]
    embeddings = (data.clips[clips[:, 1]].numpy(), data.clips[clips[:, 0]].numpy())
    remainders = torch.from_numpy(remainder(*embeddings, data.mean.numpy(), data.reference_weight))
    vectors = functional.normalize(networks.audio(remainders), dim=-1)
    label_vectors = functional.normalize(networks.text(batch.label_texts), dim=-1)
    labels, events = batch.added_label[rows], batch.added_event[rows]
    expected = label_loss(vectors, label_vectors, labels, networks.scale)
    has_event = events != NONE
    clean = functional.normalize(networks.audio(data.events[events[has_event]]), dim=-1)
    is_same = labels[has_event][:, None] == labels[has_event][None, :]
    expected += contrastive_loss(vectors[has_event], clean, networks.scale, is_same)
    found = compute_losses(networks, batch, normalised, recipe, with_events=False)["difference"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()) / 2, rel=1e-4)


def test_the_reference_of_the_difference_is_that_of_the_batch(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    batch = draw(data)
    other = dataclasses.replace(batch, reference=torch.randn_like(batch.reference))
    found = [compute_losses(networks, b, data, recipe, with_events=False) for b in (batch, other)]
    assert not torch.equal(found[0]["difference"], found[1]["difference"])
    assert torch.equal(found[0]["contrastive"], found[1]["contrastive"])


def test_grades_make_the_main_loss_the_graded_one(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    batch = draw(data)
    only_own = dataclasses.replace(batch, relevance=torch.eye(len(ROWS)))
    all_right = dataclasses.replace(batch, relevance=torch.ones(len(ROWS), len(ROWS)))
    plain, own, every = (
        float(compute_losses(networks, b, data, recipe, with_events=False)["contrastive"].detach())
        for b in (batch, only_own, all_right)
    )
    assert own == pytest.approx(plain, rel=1e-5)
    assert every == pytest.approx(0.0, abs=1e-6)


def test_an_untrained_difference_has_the_loss_of_the_weighted_one(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    trained = tiny_pairs.recipe(network={"difference": "trained"})
    torch.manual_seed(0)
    other = new_networks(trained, data, ROWS).eval()
    other.load_state_dict(networks.state_dict(), strict=False)
    batch = draw(data)
    found = [
        compute_losses(it, batch, data, recipe, with_events=False)["difference"]
        for it in (networks, other)
    ]
    assert torch.equal(found[0], found[1])
    found[1].backward()
    assert other.difference is not None
    assert other.difference.exit.weight.grad is not None
    assert other.difference.exit.weight.grad.abs().sum() > 0


def test_pairs_over_other_recordings_may_weigh_less_in_the_main_loss_only(
    data: TowerData, networks: TowerNetworks, recipe: TowersRecipe
) -> None:
    batch = dataclasses.replace(draw(data), is_other=torch.arange(len(ROWS)) % 3 == 0)
    lighter = tiny_pairs.recipe(loss={"other_recordings": 0.2})
    found = [
        compute_losses(networks, batch, data, it, with_events=False) for it in (recipe, lighter)
    ]
    assert not torch.equal(found[0]["contrastive"], found[1]["contrastive"])
    for name in ("difference", "description", "classification"):
        assert torch.equal(found[0][name], found[1][name])
    same = dataclasses.replace(batch, is_other=torch.zeros(len(ROWS), dtype=torch.bool))
    found = [
        compute_losses(networks, same, data, it, with_events=False) for it in (recipe, lighter)
    ]
    assert torch.equal(found[0]["contrastive"], found[1]["contrastive"])
