from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_pairs
import torch

from training.towers.data import TowerData
from training.towers.networks import TowerNetworks, compose_query
from training.towers.recipe import TowersRecipe
from training.towers.strength import LARGEST_LOSS, STRENGTHS, fit_strength
from training.towers.train import new_networks, train_towers

ROWS = np.arange(40)


@pytest.fixture
def networks(data: TowerData) -> TowerNetworks:
    torch.manual_seed(0)
    return new_networks(tiny_pairs.recipe(network={"unit": "both"}), data, ROWS).eval()


@torch.inference_mode()
def reciprocal_rank(
    networks: TowerNetworks, data: TowerData, rows: np.ndarray, strength: float
) -> float:
    """The mean of 1 / rank of the own target among all targets, one query after the other."""
    clips = networks.audio.project(data.clips)
    texts = networks.text(torch.from_numpy(data.texts.embeddings))
    candidates = sorted({int(data.pair_clips[row, 1]) for row in ROWS})
    total = 0.0
    for row in rows:
        query, own = data.pair_clips[row].tolist()
        vector = compose_query(clips[query], texts[data.texts.changes[row, 0]], strength)
        cosine = {c: float(torch.cosine_similarity(vector, clips[c], 0)) for c in candidates}
        rank = 1 + sum(cosine[c] > cosine[own] for c in candidates if c not in (query, own))
        total += 1 / rank
    return total / len(rows)


def test_the_strength_suits_both_situations(data: TowerData, networks: TowerNetworks) -> None:
    """Best over other recordings, of those that lose little over the same ones."""
    normalised = data.normalised_by(networks.audio)
    ids = normalised.background_ids.copy()
    ids[30:40, 1] += 100
    mixed = dataclasses.replace(normalised, background_ids=ids)
    same, other = (
        {s: reciprocal_rank(networks, normalised, rows, s) for s in STRENGTHS}
        for rows in (ROWS[:30], ROWS[30:])
    )
    found = fit_strength(networks, mixed, ROWS)
    allowed = [s for s in STRENGTHS if same[s] >= max(same.values()) - LARGEST_LOSS]
    assert found in allowed
    assert other[found] == pytest.approx(max(other[s] for s in allowed), rel=1e-5)
    assert min(same.values()) < max(same.values()) - LARGEST_LOSS


def test_without_other_recordings_the_same_ones_decide(
    data: TowerData, networks: TowerNetworks
) -> None:
    normalised = data.normalised_by(networks.audio)
    same = {s: reciprocal_rank(networks, normalised, ROWS, s) for s in STRENGTHS}
    assert same[fit_strength(networks, normalised, ROWS)] == pytest.approx(max(same.values()))


def test_the_fitted_strength_becomes_the_length_of_the_texts(data: TowerData) -> None:
    recipe = tiny_pairs.recipe(network={"unit": "both", "fit_strength": True})
    networks = train_towers(recipe, data).networks
    assert networks.text.length in STRENGTHS
    vectors = networks.text(torch.from_numpy(data.texts.embeddings))
    lengths = vectors.norm(dim=1)
    assert torch.allclose(lengths, torch.tensor(networks.text.length), atol=1e-5)


def test_without_it_texts_keep_their_length(data: TowerData, recipe: TowersRecipe) -> None:
    assert train_towers(recipe, data).networks.text.length == 1.0
