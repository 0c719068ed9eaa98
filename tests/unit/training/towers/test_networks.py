from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.towers.networks import TowerNetwork, TowerNetworks, compose_query
from training.towers.recipe import NetworkRecipe

RECIPE = NetworkRecipe(dim=5, width=7, dropout=0.5, input_dropout=0.5)
ROUNDING = 1e-5


def make(*, unit: bool = False) -> TowerNetwork:
    torch.manual_seed(0)
    return TowerNetwork(6, RECIPE, unit=unit).eval()


def naive(network: TowerNetwork, x: np.ndarray) -> np.ndarray:
    """The formula of the docstring, in float64, with the exact GELU."""
    p = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
    h = ((x - p["mean"]) / p["std"]) @ p["entry.weight"].T + p["entry.bias"]
    gelu = 0.5 * h * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
    s = h + gelu @ p["residual.weight"].T + p["residual.bias"]
    s = (s - s.mean(1, keepdims=True)) / np.sqrt(s.var(1, keepdims=True) + 1e-5)
    s = s * p["norm.weight"] + p["norm.bias"]
    out: np.ndarray = s @ p["exit.weight"].T + p["exit.bias"]
    return out


def test_a_tower_computes_its_formula() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6)) * 3 + 1
    network = make()
    network.fit_statistics(torch.from_numpy(x).float())
    found = network(torch.from_numpy(x).float()).detach().numpy()
    assert np.abs(found - naive(network, x)).max() < ROUNDING


def test_the_statistics_bring_every_value_to_mean_0_and_deviation_1() -> None:
    sample = torch.randn(500, 6) * torch.arange(1.0, 7.0) + 4
    sample[:, 3] = 2.0
    network = make()
    network.fit_statistics(sample)
    scaled = (sample - network.mean) / network.std
    assert scaled.mean(dim=0).abs().max() < ROUNDING
    varying = scaled.std(dim=0, correction=0)[[0, 1, 2, 4, 5]]
    assert (varying - 1).abs().max() < ROUNDING
    assert torch.isfinite(scaled).all()  # also the constant value


def test_a_unit_tower_gives_vectors_of_length_1() -> None:
    vectors = make(unit=True)(torch.randn(9, 6))
    assert (vectors.norm(dim=1) - 1).abs().max() < ROUNDING


@pytest.mark.parametrize(
    ("unit", "audio", "text"),
    [("none", False, False), ("audio", True, False), ("both", True, True)],
)
def test_the_recipe_sets_which_towers_give_unit_vectors(unit: str, audio: bool, text: bool) -> None:
    network = TowerNetworks(6, 4, 3, RECIPE.model_copy(update={"unit": unit}), 0.07)
    assert (network.audio.unit, network.text.unit) == (audio, text)


def test_the_scale_is_one_over_the_temperature_within_its_bounds() -> None:
    network = TowerNetworks(6, 4, 3, RECIPE, 0.07)
    assert float(network.scale.detach()) == pytest.approx(1 / 0.07)
    with torch.no_grad():
        network.log_temperature.fill_(-100.0)
        assert float(network.scale) == pytest.approx(100.0)
        network.log_temperature.fill_(100.0)
        assert float(network.scale) == pytest.approx(1.0)


def test_a_query_is_the_unit_sum_and_strength_0_is_audio_alone() -> None:
    audio, text = torch.randn(3, 5), torch.randn(3, 5)
    total = audio + 2 * text
    assert torch.allclose(compose_query(audio, text, 2.0), total / total.norm(dim=1, keepdim=True))
    assert torch.equal(compose_query(audio, text, 0.0), compose_query(audio, None))
    assert torch.allclose(compose_query(None, text), text / text.norm(dim=1, keepdim=True))


def test_a_query_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs audio or text"):
        compose_query(None, None)


def test_components_are_uncorrelated_and_of_deviation_1() -> None:
    mixing = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    sample = torch.randn(800, 20, generator=torch.Generator().manual_seed(1)) @ mixing + 3
    torch.manual_seed(0)
    network = TowerNetwork(20, RECIPE, unit=False, components=6)
    network.fit_statistics(sample)
    network.fit_components(sample)
    assert network.basis is not None
    scaled = (sample - network.mean) / network.std
    found = scaled @ network.basis.T
    assert (found.T @ found / len(found) - torch.eye(6)).abs().max() < 1e-3
    # They are the leading ones of an exact decomposition.
    leading = torch.linalg.svd(scaled, full_matrices=False).S[:6] / math.sqrt(len(sample))
    assert torch.allclose(1 / network.basis.norm(dim=1), leading, rtol=1e-3)
    assert network(sample[:3]).shape == (3, 5)


def test_more_components_than_there_are_are_zero() -> None:
    sample = torch.randn(4, 20)
    network = TowerNetwork(20, RECIPE, unit=False, components=6)
    network.fit_statistics(sample)
    network.fit_components(sample)
    assert torch.isfinite(network(sample)).all()


def sample() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(400, 10) @ torch.randn(10, 10) + 5


@pytest.mark.parametrize("whiten", [0.0, 0.5, 1.0])
def test_components_are_whitened_as_the_recipe_says_and_scaled_together(whiten: float) -> None:
    recipe = NetworkRecipe(dim=6, width=7, standardise=True, components=6, whiten=whiten)
    network = TowerNetwork(10, recipe, unit=True, components=6)
    embeddings = sample()
    network.fit_statistics(embeddings)
    network.fit_components(embeddings)
    scaled = ((embeddings - embeddings.mean(0)) / embeddings.std(0, correction=0)).double().numpy()
    std = np.sqrt(np.linalg.eigvalsh(scaled.T @ scaled / len(scaled))[::-1][:6])
    expected = std ** (1 - whiten)
    expected /= np.sqrt((expected**2).mean())
    found = network.normalise(embeddings).std(dim=0, correction=0).numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_values_that_hardly_vary_have_a_least_deviation() -> None:
    recipe = NetworkRecipe(dim=3, width=4, standardise=True, least_std=0.1)
    sample = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    sample[:, 4] *= 1e-3
    sample[:, 5] = 0.0
    std = sample.double().std(dim=0, correction=0)
    least = 0.1 * float(std.square().mean().sqrt())
    tower = TowerNetwork(6, recipe, unit=False)
    tower.fit_statistics(sample)
    assert torch.allclose(tower.std[:4].double(), std[:4], rtol=1e-5)
    assert tower.std[4:].tolist() == pytest.approx([least, least], rel=1e-5)
    other = torch.full((1, 6), 0.3)  # of another kind of sound
    assert float(tower.normalise(other).abs().max()) < 10
