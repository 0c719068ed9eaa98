from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_pairs
import torch
from torch.nn import functional

from service.difference import remainder
from training.towers.data import NOTHING, TowerData
from training.towers.losses import by_words, contrastive
from training.towers.networks import Towers
from training.towers.recipe import TowersRecipe
from training.towers.step import Batch, draw_batch, measure_losses, total_loss
from training.towers.train import new_towers

ROWS = np.arange(24)


@pytest.fixture
def towers(data: TowerData, recipe: TowersRecipe) -> Towers:
    torch.manual_seed(0)
    return new_towers(recipe, data, ROWS).eval()


def batch(data: TowerData, turned: float = 0.0) -> Batch:
    return draw_batch(data, ROWS, turned, np.random.default_rng(0))


def test_a_link_turned_round_changes_places_in_everything(data: TowerData) -> None:
    forth, back = batch(data), batch(data, turned=1.0)
    assert torch.equal(back.query, forth.target)
    assert torch.equal(back.target, forth.query)
    assert torch.equal(back.heard_query, forth.heard_target)
    assert torch.equal(back.appears, data.appears[ROWS, 1])
    assert torch.equal(back.clip, data.ends[ROWS, 0])
    texts = data.texts
    for row in ROWS:
        told = texts.embeddings[texts.back[row]]
        assert any(np.array_equal(back.change[row].numpy(), each) for each in told)
        described = texts.embeddings[texts.clips[data.ends[row, 0]]]
        assert any(np.array_equal(back.description[row].numpy(), each) for each in described)


def test_the_share_that_is_turned_is_the_recipe_s(data: TowerData) -> None:
    draw = np.random.default_rng(1)
    drawn = [draw_batch(data, ROWS, 0.25, draw) for _ in range(40)]
    turned = [(each.clip == data.ends[ROWS, 0]).float().mean() for each in drawn]
    assert 0.2 < float(torch.stack(turned).mean()) < 0.3


def test_links_to_one_clip_are_not_each_other_s_negatives(
    data: TowerData, towers: Towers, recipe: TowersRecipe
) -> None:
    """A clip that is the target of two links is right for both."""
    ends = data.ends.tolist()
    twice = next(
        (i, j) for i, x in enumerate(ends) for j, y in enumerate(ends) if i < j and x[1] == y[1]
    )
    each = draw_batch(data, np.array(twice), 0.0, np.random.default_rng(0))
    found = measure_losses(towers, each, data, recipe, with_events=False)["contrastive"]
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-6)


def test_only_losses_with_a_weight_are_measured(data: TowerData, towers: Towers) -> None:
    full = measure_losses(towers, batch(data), data, tiny_pairs.recipe(), with_events=True)
    assert set(full) == {"contrastive", "classification", "description", "events", "difference"}
    bare = tiny_pairs.recipe(
        loss={"description": 0, "events": 0, "difference": 0, "classification": 0}
    )
    assert set(measure_losses(towers, batch(data), data, bare, with_events=True)) == {"contrastive"}


def test_the_total_weighs_each_loss(recipe: TowersRecipe) -> None:
    losses = {"contrastive": torch.tensor(2.0), "events": torch.tensor(4.0)}
    assert float(total_loss(losses, recipe)) == 2.0 + 0.5 * 4.0


def test_the_main_loss_is_that_of_the_composed_query(
    data: TowerData, towers: Towers, recipe: TowersRecipe
) -> None:
    each = batch(data)
    query = towers.audio.place(each.query) + towers.text(each.change)
    items = functional.normalize(towers.audio.place(each.target), dim=-1)
    expected = contrastive(functional.normalize(query, dim=-1), items, towers.scale)
    found = measure_losses(towers, each, data, recipe, with_events=False)["contrastive"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(("query", "unused"), [("audio", "change"), ("text", "query")])
def test_a_baseline_does_not_hear_the_other_term(
    data: TowerData, towers: Towers, query: str, unused: str
) -> None:
    recipe = tiny_pairs.recipe(network={"query": query}, loss={"classification": 0})
    each = batch(data)
    other = dataclasses.replace(each, **{unused: torch.randn_like(getattr(each, unused))})
    found = [measure_losses(towers, b, data, recipe, with_events=False) for b in (each, other)]
    assert torch.equal(found[0]["contrastive"], found[1]["contrastive"])


def test_the_difference_is_taken_as_the_service_takes_it(
    data: TowerData, towers: Towers, recipe: TowersRecipe
) -> None:
    each = batch(data.seen_by(towers.audio))
    rows = torch.nonzero(each.appears != NOTHING)[:, 0]
    ends = data.ends[torch.from_numpy(ROWS)[rows]]
    sounds = (data.clips[ends[:, 1]].numpy(), data.clips[ends[:, 0]].numpy())
    kept = torch.from_numpy(remainder(*sounds, data.mean.numpy(), data.reference_weight))
    remains = functional.normalize(towers.audio(kept), dim=-1)
    words = functional.normalize(towers.text(each.words), dim=-1)
    expected = by_words(remains, words, each.appears[rows], towers.scale)
    heard = each.source[rows] != NOTHING
    clean = functional.normalize(towers.audio(data.events[each.source[rows][heard]]), dim=-1)
    labels = each.appears[rows][heard]
    alike = labels[:, None] == labels[None, :]
    expected = (expected + contrastive(remains[heard], clean, towers.scale, alike)) / 2
    seen = data.seen_by(towers.audio)
    found = measure_losses(towers, each, seen, recipe, with_events=False)["difference"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
