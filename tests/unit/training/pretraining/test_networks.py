from __future__ import annotations

import pytest
import tiny_run
import torch
from torch import nn

from training.pretraining.networks import update_average

pytestmark = pytest.mark.usefixtures("narrow")


def test_lambda_0_has_no_second_predictor_and_equal_weights_everywhere_else() -> None:
    """The baseline starts from the same weights as the runs it is compared with."""
    without = tiny_run.state(tiny_run.recipe(loss={"lambda": 0}))
    with_difference = tiny_run.state(tiny_run.recipe(loss={"lambda": 0.5}))
    assert without.online.difference_predictor is None
    weights, others = without.online.state_dict(), with_difference.online.state_dict()
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
    view = tiny_run.log_mels(3).requires_grad_()
    assert state.target(view, torch.Generator()).grad_fn is None


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
