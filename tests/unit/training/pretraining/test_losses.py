from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.pretraining.losses import normalised_squared_error, weighted_sum


def projections(seed: int, n: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 8, dtype=torch.float64, generator=generator)


def test_the_loss_is_the_squared_distance_of_unit_vectors() -> None:
    """Both forms of equation 1."""
    prediction, target = projections(0), 5 * projections(1)
    distances, cosines = [], []
    for p, z in zip(prediction.tolist(), target.tolist(), strict=True):
        p_norm, z_norm = math.hypot(*p), math.hypot(*z)
        distances.append(sum((a / p_norm - b / z_norm) ** 2 for a, b in zip(p, z, strict=True)))
        inner = sum(a * b for a, b in zip(p, z, strict=True))
        cosines.append(2 - 2 * inner / (p_norm * z_norm))
    found = float(normalised_squared_error(prediction, target))
    assert found == pytest.approx(sum(distances) / 6, rel=1e-12)
    assert found == pytest.approx(sum(cosines) / 6, rel=1e-12)


def test_the_loss_is_0_for_one_direction_and_4_for_the_opposite() -> None:
    x = projections(0)
    assert float(normalised_squared_error(x, 3 * x)) == pytest.approx(0, abs=1e-12)
    assert float(normalised_squared_error(x, -0.1 * x)) == pytest.approx(4)


def test_the_loss_stays_between_0_and_4() -> None:
    for seed in range(100):
        loss = normalised_squared_error(projections(seed, 1), projections(seed + 100, 1))
        assert 0 <= float(loss) <= 4


def test_a_zero_prediction_costs_2_and_has_a_finite_gradient() -> None:
    zero = torch.zeros(2, 8, requires_grad=True)
    loss = normalised_squared_error(zero, projections(0, 2).float())
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 2
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize(("lambda_", "expected"), [(0.0, 3.0), (0.2, 2.6), (0.5, 2.0), (1.0, 1.0)])
def test_lambda_weighs_the_two_losses(lambda_: float, expected: float) -> None:
    found = weighted_sum(torch.tensor(3.0), torch.tensor(1.0), lambda_)
    assert float(found) == pytest.approx(expected)
