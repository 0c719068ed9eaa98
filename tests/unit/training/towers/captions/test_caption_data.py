from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.towers.captions.data import CaptionData, draw_caption_loss
from training.towers.captions.reliability import measure_reliability
from training.towers.networks import TowerNetworks
from training.towers.recipe import NetworkRecipe


def train(data: CaptionData, steps: int = 150) -> TowerNetworks:
    """Train towers on captions alone."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    networks = TowerNetworks(
        data.windows.shape[1],
        data.texts.shape[1],
        1,
        NetworkRecipe(dim=16, width=32, unit="both"),
        0.1,
    )
    optimiser = torch.optim.Adam(networks.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = draw_caption_loss(networks, data, 24, rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return networks.eval().requires_grad_(False)


def column(captions: CaptionData, kind: str, key: str) -> int:
    return captions.concepts.columns()[kind, key]  # type: ignore[index]


def test_the_first_description_of_a_concept_is_its_plainest_name(captions: CaptionData) -> None:
    texts = captions.variants[column(captions, "class", "Siren")]
    assert len(set(texts.tolist())) == len(texts) > 8


def test_rare_concepts_are_drawn_more_often(captions: CaptionData) -> None:
    assert captions.shares.sum() == pytest.approx(1.0)
    rare = captions.select(np.array([0, 3, 6, 9, 12, 15, 1]))
    assert rare.shares[-1] == pytest.approx(1 / 7)  # chosen rows keep their relative shares


def test_a_selection_holds_the_same_windows(captions: CaptionData) -> None:
    rows = np.array([5, 2, 8])
    chosen = captions.select(rows)
    assert torch.equal(chosen.windows, captions.windows[rows])
    assert torch.equal(chosen.weights, captions.weights[rows])
    assert chosen.paths == [captions.paths[row] for row in rows]
    assert chosen.recordings == [captions.recordings[row] for row in rows]


def test_training_brings_sounds_to_the_texts_of_what_is_heard(captions: CaptionData) -> None:
    rng = np.random.default_rng(1)
    before = draw_caption_loss(train(captions, 0), captions, 60, rng)
    after = draw_caption_loss(train(captions), captions, 60, rng)
    assert after < 0.7 * before


def test_a_concept_that_is_heard_is_reliable_and_one_that_is_not_has_no_reliability(
    captions: CaptionData,
) -> None:
    measured = measure_reliability(captions, train)
    for name in ("Dog", "Rain", "Siren"):
        assert measured[column(captions, "class", name)] > 0.8
    assert column(captions, "class", "Silence") not in measured
    assert column(captions, "label", "frog") not in measured


def test_reliability_is_low_where_embeddings_tell_nothing(captions: CaptionData) -> None:
    rows = torch.randperm(len(captions.windows), generator=torch.Generator().manual_seed(0))
    shuffled = replace(captions, windows=captions.windows[rows])
    measured = measure_reliability(shuffled, train)
    assert np.mean(list(measured.values())) < 0.6
