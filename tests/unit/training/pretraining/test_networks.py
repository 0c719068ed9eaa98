from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.pretraining.losses import normalised_squared_error
from training.pretraining.networks import (
    Losses,
    OnlineNetwork,
    TargetNetwork,
    Views,
    update_average,
)

pytestmark = pytest.mark.usefixtures("narrow")

SPREAD = 3.0
HALF = {"gamma": [0.5, 0.5]}


def networks(loss: Mapping[str, object]) -> tuple[OnlineNetwork, TargetNetwork]:
    """Make the networks of a recipe, in evaluation mode: then gamma alone is drawn.

    In float64, where no two frames are so near that the order of a sum decides on the maximum.
    """
    state = tiny_run.state(tiny_run.recipe(loss=HALF | dict(loss)))
    # Else the target would project a view as the online network does.
    state.target.projector.get_parameter("layers.3.weight").normal_(generator=generator())
    return state.online.double().eval(), state.target.double().eval()


def views() -> Views:
    first, second = (tiny_run.log_mels(3, seed).double() for seed in (1, 2))
    return Views(first, second, torch.tensor(SPREAD).double())


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def run(loss: Mapping[str, object]) -> tuple[Losses, OnlineNetwork, tuple[Tensor, Tensor]]:
    online, target = networks(loss)
    both = views()
    targets = target(both.first, generator()), target(both.second, generator())
    return online(both, targets, generator()), online, targets


def difference_loss(
    online: OnlineNetwork, view: Tensor, target: Tensor, mixture: Tensor | None = None
) -> Tensor:
    """Equation 3 with gamma 0.5."""
    following = torch.cat([view[1:], view[:1]])
    if mixture is None:
        mixture = (0.5 * following.exp() + 0.5 * view.exp()).log()
    remainder = online.encoder(mixture) - 0.5 * online.encoder(following)
    assert online.difference_predictor is not None
    prediction = online.difference_predictor(online.projector(remainder))
    return normalised_squared_error(prediction, target)


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    network.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_each_view_predicts_the_target_s_projection_of_the_other() -> None:
    losses, online, targets = run({"lambda": 0})
    both = views()
    expected = normalised_squared_error(
        online.predictor(online.projector(online.encoder(both.first))), targets[1]
    ) + normalised_squared_error(
        online.predictor(online.projector(online.encoder(both.second))), targets[0]
    )
    torch.testing.assert_close(losses.byol, expected)
    assert not losses.difference.any()


def test_the_symmetric_difference_loss_sums_both_directions() -> None:
    losses, online, targets = run({"symmetric": True})
    both = views()
    expected = difference_loss(online, both.first, targets[1])
    expected = expected + difference_loss(online, both.second, targets[0])
    torch.testing.assert_close(losses.difference, expected)


def test_the_one_sided_difference_loss_is_doubled() -> None:
    losses, online, targets = run({"symmetric": False})
    torch.testing.assert_close(
        losses.difference, 2 * difference_loss(online, views().first, targets[1])
    )


def test_each_direction_and_sample_has_a_rate_of_its_own() -> None:
    online, target = networks({"gamma": [0.4, 0.6]})
    drawn = torch.rand(6, generator=generator()) * 0.2 + 0.4
    found: list[Tensor] = []
    online.encoder.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    both = views()
    online(both, (target(both.first, generator()), target(both.second, generator())), generator())
    for view, mixture, gamma in zip(both[:2], found[2:], drawn.view(2, 3), strict=True):
        rate = gamma[:, None, None]
        expected = (rate * view.roll(-1, 0).exp() + (1 - rate) * view.exp()).log()
        torch.testing.assert_close(mixture, expected)


def test_a_gradient_flows_through_the_subtracted_embedding_unless_stopped() -> None:
    flowing, online, targets = run({"symmetric": False, "stop_gradient": False})
    stopped, same, _ = run({"symmetric": False, "stop_gradient": True})
    torch.testing.assert_close(flowing.difference, stopped.difference)
    expected = gradient(2 * difference_loss(online, views().first, targets[1]), online)
    through = gradient(flowing.difference, online)
    torch.testing.assert_close(through, expected, rtol=1e-4, atol=1e-5)
    blocked = gradient(stopped.difference, same)
    assert (through - blocked).norm() > 0.01 * through.norm()


def mixture_of(loss: Mapping[str, object]) -> Tensor:
    """Catch what the encoder hears in the difference branch of the first view."""
    online, target = networks({"symmetric": False} | dict(loss))
    heard: list[Tensor] = []
    online.encoder.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    both = views()
    online(both, (target(both.first, generator()), target(both.second, generator())), generator())
    assert len(heard) == 3
    return heard[2]


def test_the_mixture_is_taken_on_normalised_values_or_on_power() -> None:
    view = views().first.double()
    following = view.roll(-1, 0)
    normalised = (0.5 * following.exp() + 0.5 * view.exp()).log()
    power = (0.5 * (SPREAD * following).exp() + 0.5 * (SPREAD * view).exp()).log() / SPREAD
    torch.testing.assert_close(mixture_of({}).double(), normalised, rtol=1e-5, atol=1e-5)
    found = mixture_of({"mix_domain": "power"}).double()
    torch.testing.assert_close(found, power, rtol=1e-5, atol=1e-5)


def test_the_mixture_is_normalised_again_only_where_the_recipe_says_so() -> None:
    plain, renormalised = mixture_of({}), mixture_of({"renormalise": True})
    assert plain.std() < 0.9
    assert float(renormalised.std()) == pytest.approx(1, abs=1e-4)
    assert float(renormalised.mean()) == pytest.approx(0, abs=1e-4)
    expected = (plain - plain.mean()) / plain.std()
    torch.testing.assert_close(renormalised, expected)


def test_lambda_0_has_no_second_predictor_and_equal_weights_everywhere_else() -> None:
    """The baseline starts from the same weights as the runs it is compared with."""
    without = tiny_run.state(tiny_run.recipe(loss={"lambda": 0}))
    beside = tiny_run.state(tiny_run.recipe(loss={"lambda": 0.5}))
    assert without.online.difference_predictor is None
    weights, others = without.online.state_dict(), beside.online.state_dict()
    extra = {name for name in others if name.startswith("difference_predictor.")}
    assert set(weights) == set(others) - extra
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    optimised = {id(p) for group in without.optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in without.online.parameters()}


def test_the_target_starts_as_a_copy_and_never_gets_a_gradient() -> None:
    state = tiny_run.state(tiny_run.recipe())
    for name, value in state.target.state_dict().items():
        assert torch.equal(value, state.online.state_dict()[name])
    assert not any(p.requires_grad for p in state.target.parameters())
    online = {p.data_ptr() for p in state.online.parameters()}
    assert not online & {p.data_ptr() for p in state.target.parameters()}
    projection = state.target(views().first.float().requires_grad_(), generator())
    assert projection.grad_fn is None


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.99, 1.0])
def test_the_average_moves_parameters_and_leaves_buffers(decay: float) -> None:
    online, target = nn.BatchNorm1d(4).double(), nn.BatchNorm1d(4).double()
    for i, network in enumerate((online, target)):
        for value in [*network.parameters(), *network.buffers()][:4]:
            nn.init.normal_(value, mean=i)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    update_average(target, online, decay)
    for name, average in target.named_parameters():
        expected = decay * before[name] + (1 - decay) * online.get_parameter(name)
        torch.testing.assert_close(average.data, expected.data, rtol=1e-12, atol=0)
    for name, buffer in target.named_buffers():
        assert torch.equal(buffer, before[name])


def test_only_encoder_and_projector_are_averaged() -> None:
    state = tiny_run.state(tiny_run.recipe())
    for parameter in state.online.parameters():
        nn.init.constant_(parameter, 1.0)
    update_average(state.target, state.online, 0.0)
    assert {name.split(".")[0] for name, _ in state.target.named_parameters()} == {
        "encoder",
        "projector",
    }
    assert all((cast(Tensor, p) == 1.0).all() for p in state.target.parameters())
