from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.pretraining.networks import OnlineNetwork, TargetNetwork
from training.pretraining.objective import (
    Losses,
    Objective,
    Views,
    draw_gamma,
    mix_with_shifted,
    normalised_squared_error,
    shift,
    weighted_sum,
)

pytestmark = pytest.mark.usefixtures("narrow")

NATS_PER_UNIT = 3.0
GAMMA_HALF = {"gamma": [0.5, 0.5]}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def projections(seed: int, n: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 8, dtype=torch.float64, generator=generator)


# Equations 1 and 3: the error


def test_the_error_is_the_squared_distance_of_unit_vectors() -> None:
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


def test_a_zero_prediction_costs_2_and_has_a_finite_gradient() -> None:
    zero = torch.zeros(2, 8, requires_grad=True)
    loss = normalised_squared_error(zero, projections(0, 2).float())
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 2
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


# Equation 2: the mixture


def test_the_mixture_is_equation_2() -> None:
    view, gamma = tiny_run.log_mels(3, frames=5), torch.tensor([0.4, 0.5, 0.6])
    found = mix_with_shifted(view, gamma)
    for n in range(3):
        rate, following = float(gamma[n]), view[(n + 1) % 3]
        for mel in range(64):
            for frame in range(5):
                power = rate * math.exp(float(following[mel, frame]))
                power += (1 - rate) * math.exp(float(view[n, mel, frame]))
                assert float(found[n, mel, frame]) == pytest.approx(math.log(power), abs=1e-5)


def test_the_mixture_does_not_overflow() -> None:
    """The result is the louder of two sounds, less its rate."""
    view = torch.tensor([80.0, -80.0, 80.0, 1000.0])[:, None, None].expand(-1, 2, 2)
    mixture = mix_with_shifted(view, torch.full((4,), 0.5))
    half = math.log(0.5)
    expected = [80 + half, 80 + half, 1000 + half, 1000 + half]
    assert mixture[:, 0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("nats_per_unit", [1.0, 3.5])
def test_an_encoder_linear_in_power_leaves_the_remaining_sound(nats_per_unit: float) -> None:
    """``y_w - gamma s(y)`` is ``(1 - gamma) y``: the right sound is removed, at the right rate."""
    view = tiny_run.log_mels(4).double()
    gamma = torch.tensor([0.4, 0.45, 0.55, 0.6]).double()
    matrix = torch.randn(64 * 96, 10, generator=torch.Generator().manual_seed(7)).double()

    def encode(view: torch.Tensor) -> torch.Tensor:
        return (nats_per_unit * view).exp().flatten(1) @ matrix

    mixture = mix_with_shifted(view, gamma, nats_per_unit)
    remainder = encode(mixture) - gamma[:, None] * shift(encode(view))
    torch.testing.assert_close(remainder, (1 - gamma[:, None]) * encode(view))


def test_rates_are_uniform_between_the_bounds_one_for_each_sample() -> None:
    gamma = draw_gamma(torch.zeros(20_000, 1), (0.4, 0.6), generator())
    assert gamma.shape == (20_000,)
    assert 0.4 <= float(gamma.min()) < 0.401
    assert 0.599 < float(gamma.max()) <= 0.6
    # Five standard deviations of the mean.
    assert float(gamma.double().mean()) == pytest.approx(0.5, abs=0.0021)


# The two losses


def networks(loss: Mapping[str, object]) -> tuple[Objective, TargetNetwork]:
    """Make the networks of a recipe, in evaluation mode: then gamma alone is drawn.

    In float64, where no two frames are so near that the order of a sum decides on the maximum.
    """
    recipe = tiny_run.recipe(loss=GAMMA_HALF | dict(loss))
    state = tiny_run.state(recipe)
    # Otherwise the target would project a view as the online network does.
    state.target.projector.get_parameter("layers.3.weight").normal_(generator=generator())
    objective = Objective(state.online, recipe.loss)
    return objective.double().eval(), state.target.double().eval()


def views() -> Views:
    first, second = (tiny_run.log_mels(3, seed).double() for seed in (1, 2))
    return Views(first, second, torch.tensor(NATS_PER_UNIT).double())


def run(loss: Mapping[str, object]) -> tuple[Losses, OnlineNetwork, tuple[Tensor, Tensor]]:
    objective, target = networks(loss)
    pair = views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    return objective(pair, targets, generator()), objective.online, targets


def encoder_inputs(loss: Mapping[str, object]) -> list[Tensor]:
    """Record the inputs of the online encoder: both views, then the mixtures."""
    objective, target = networks(loss)
    inputs: list[Tensor] = []
    objective.online.encoder.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    pair = views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    objective(pair, targets, generator())
    return inputs


def difference_loss(online: OnlineNetwork, view: Tensor, target: Tensor) -> Tensor:
    """Equation 3 with gamma 0.5."""
    following = torch.cat([view[1:], view[:1]])
    mixture = (0.5 * following.exp() + 0.5 * view.exp()).log()
    remainder = online.encoder(mixture) - 0.5 * online.encoder(following)
    assert online.difference_predictor is not None
    prediction = online.difference_predictor(online.projector(remainder))
    return normalised_squared_error(prediction, target)


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    network.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_a_single_direction_is_doubled() -> None:
    losses, online, targets = run({"symmetric": False})
    expected = 2 * difference_loss(online, views().first, targets[1])
    torch.testing.assert_close(losses.difference, expected)


def test_a_gradient_flows_through_the_subtracted_embedding_unless_stopped() -> None:
    flowing, online, targets = run({"symmetric": False, "stop_gradient": False})
    stopped, same, _ = run({"symmetric": False, "stop_gradient": True})
    torch.testing.assert_close(flowing.difference, stopped.difference)
    expected = gradient(2 * difference_loss(online, views().first, targets[1]), online)
    through = gradient(flowing.difference, online)
    torch.testing.assert_close(through, expected, rtol=1e-4, atol=1e-5)
    blocked = gradient(stopped.difference, same)
    assert (through - blocked).norm() > 0.01 * through.norm()


def test_the_mixture_is_of_normalised_values_or_of_power() -> None:
    view = views().first
    following = view.roll(-1, 0)
    (*_, found) = encoder_inputs({"symmetric": False})
    expected = (0.5 * following.exp() + 0.5 * view.exp()).log()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (*_, found) = encoder_inputs({"symmetric": False, "mix_domain": "power"})
    nats = NATS_PER_UNIT
    power = 0.5 * (nats * following).exp() + 0.5 * (nats * view).exp()
    torch.testing.assert_close(found, power.log() / nats, rtol=1e-5, atol=1e-5)


def test_the_mixture_is_normalised_again_only_if_the_recipe_says_so() -> None:
    (*_, plain) = encoder_inputs({"symmetric": False})
    (*_, renormalised) = encoder_inputs({"symmetric": False, "renormalise": True})
    assert plain.std() < 0.9
    torch.testing.assert_close(renormalised, (plain - plain.mean()) / plain.std())


# The teacher losses

TEACHER = {"symmetric": False, "teacher": 0.5, "teacher_difference": 2.0}


def taught() -> Tensor:
    return torch.randn(3, 1024, dtype=torch.float64, generator=generator())


def run_taught(loss: Mapping[str, object]) -> tuple[Losses, OnlineNetwork]:
    objective, target = networks(loss)
    pair = views()
    targets = target(pair.first, generator()), target(pair.second, generator())
    return objective(pair, targets, generator(), taught()), objective.online


def mean_error(predictions: Tensor, targets: Tensor) -> float:
    errors = []
    for p, t in zip(predictions.tolist(), targets.tolist(), strict=True):
        inner = sum(a * b for a, b in zip(p, t, strict=True))
        errors.append(2 - 2 * inner / (math.hypot(*p) * math.hypot(*t)))
    return sum(errors) / len(errors)


@pytest.mark.usefixtures("any_teacher")
def test_one_head_predicts_the_teacher_from_views_and_from_the_remainder() -> None:
    losses, online = run_taught(TEACHER)
    assert online.teacher_predictor is not None
    first, second = views().first, views().second
    from_views = [online.teacher_predictor(online.encoder(view)) for view in (first, second)]
    expected = sum(mean_error(prediction, taught()) for prediction in from_views)
    assert float(losses.teacher.detach()) == pytest.approx(expected, rel=1e-9)
    following = torch.cat([first[1:], first[:1]])
    mixture = (0.5 * following.exp() + 0.5 * first.exp()).log()
    left = online.encoder(mixture) - 0.5 * online.encoder(following)
    expected = 2 * mean_error(online.teacher_predictor(left), taught())
    assert float(losses.remainder.detach()) == pytest.approx(expected, rel=1e-9)
    total = 0.5 * losses.byol + 0.5 * losses.difference + 0.5 * losses.teacher
    expected = float((total + 2.0 * losses.remainder).detach())
    assert float(
        weighted_sum(losses, tiny_run.recipe(loss=TEACHER).loss).detach()
    ) == pytest.approx(expected)


@pytest.mark.usefixtures("any_teacher")
def test_the_teacher_can_judge_the_remainder_without_the_loss_of_the_paper() -> None:
    losses, online = run_taught(TEACHER | {"lambda": 0.0})
    assert online.difference_predictor is None
    assert float(losses.difference.detach()) == 0
    assert float(losses.remainder.detach()) > 0
