from __future__ import annotations

import torch

from training.towers.difference_network import DifferenceNetwork


def make(*, trained: bool) -> DifferenceNetwork:
    torch.manual_seed(0)
    network = DifferenceNetwork(6, 16, 0.5).eval()
    if trained:
        torch.nn.init.normal_(network.exit.weight)
    return network


def inputs(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mixture, reference = torch.randn(2, n, 6, generator=generator)
    return mixture, reference


def test_untrained_it_subtracts_the_weighted_reference() -> None:
    mixture, reference = inputs()
    weight = torch.full((5, 1), 0.6)
    found = make(trained=False)(mixture, reference, weight, torch.ones(5, 1))
    assert torch.equal(found, mixture - 0.6 * reference)


def test_at_weight_zero_nothing_is_subtracted() -> None:
    mixture, reference = inputs()
    zero = torch.zeros(5, 1)
    assert torch.equal(make(trained=True)(mixture, reference, zero, zero), mixture)


def test_the_correction_depends_on_mixture_and_reference_of_its_own_row() -> None:
    network, (mixture, reference) = make(trained=True), inputs()
    ones = torch.ones(5, 1)
    found = network(mixture, reference, ones, ones)
    assert not torch.allclose(found, mixture - reference, atol=1e-2)
    alone = network(mixture[2:3], reference[2:3], ones[:1], ones[:1])
    assert torch.allclose(found[2:3], alone, atol=1e-6)
