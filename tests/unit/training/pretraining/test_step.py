from __future__ import annotations

import random

import numpy as np
import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.pretraining.augment import augment, normalise_jointly
from training.pretraining.networks import update_average
from training.pretraining.objective import normalised_squared_error
from training.pretraining.step import StepMetrics, TrainState, embedding_std, train_step

pytestmark = pytest.mark.usefixtures("narrow")

BATCH = 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def global_randomness() -> tuple[bytes, bytes, object]:
    """Read the states of the global random generators."""
    numpy_state = np.random.get_state(legacy=False)["state"]["key"]
    return torch.get_rng_state().numpy().tobytes(), numpy_state.tobytes(), random.getstate()


def byol_a_step(state: TrainState, clips: Tensor, generator: torch.Generator) -> None:
    """Do a step of BYOL-A: without any code of the difference loss."""
    with torch.no_grad():
        log_mel = state.model.log_mel(clips)
        recipe = tiny_run.recipe().views
        pair = [augment(log_mel, state.bank, recipe, generator) for _ in range(2)]
        both, _ = normalise_jointly(torch.cat(pair))
        first, second = both.chunk(2)
        targets = [state.target(view, generator) for view in (first, second)]
    y = [state.online.encoder(view, generator) for view in (first, second)]
    predictions = [state.online.predictor(state.online.projector(each)) for each in y]
    loss = normalised_squared_error(predictions[0], targets[1])
    loss = loss + normalised_squared_error(predictions[1], targets[0])
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    update_average(state.target, state.online, 0.99)


def test_lambda_0_is_byol_a_bit_for_bit() -> None:
    """BatchNorm statistics included: no forward pass of a mixture may change them."""
    recipe = tiny_run.recipe(loss={"lambda": 0})
    ours, without = tiny_run.state(recipe), tiny_run.state(recipe)
    rng, same_rng = generator(), generator()
    for seed in range(2):
        metrics = train_step(ours, tiny_run.crops(BATCH, seed), rng, recipe=recipe)
        without.optimiser.zero_grad()
        byol_a_step(without, tiny_run.crops(BATCH, seed), same_rng)
        assert metrics.difference == 0
        assert metrics.loss == metrics.byol
    assert torch.equal(rng.get_state(), same_rng.get_state())
    for network in ("online", "target", "bank"):
        expected = getattr(without, network).state_dict()
        found = getattr(ours, network).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_a_step_depends_on_state_batch_and_generator_alone() -> None:
    recipe = tiny_run.recipe()
    outcomes: list[tuple[StepMetrics, dict[str, Tensor]]] = []
    for seed in (1, 1, 2):
        state = tiny_run.state(recipe)
        torch.manual_seed(len(outcomes))
        before = global_randomness()
        metrics = train_step(state, tiny_run.crops(BATCH), generator(seed), recipe=recipe)
        assert global_randomness() == before
        outcomes.append((metrics, weights_of(state.online)))
    (first, weights), (again, same_weights), (other, _) = outcomes
    assert again == first
    assert all(torch.equal(value, same_weights[name]) for name, value in weights.items())
    assert other.loss != first.loss


def test_a_decay_given_to_the_step_overrides_the_recipe() -> None:
    recipe = tiny_run.recipe(optim={"ema_decay": 0.5})
    state = tiny_run.state(recipe)
    before = weights_of(state.target)
    train_step(state, tiny_run.crops(BATCH), generator(), recipe=recipe, ema_decay=1.0)
    assert all(torch.equal(p, before[name]) for name, p in state.target.named_parameters())


def test_both_losses_fall_on_a_repeated_batch() -> None:
    recipe = tiny_run.recipe()
    state = tiny_run.state(recipe)
    clips = tiny_run.crops(6)
    steps = [train_step(state, clips, generator(i), recipe=recipe) for i in range(10)]
    assert all(0 <= step.byol <= 8 and 0 <= step.difference <= 8 for step in steps)
    assert steps[-1].byol < 0.8 * steps[0].byol
    assert steps[-1].difference < 0.8 * steps[0].difference


@pytest.mark.usefixtures("any_teacher")
def test_every_loss_of_the_variants_falls_on_a_repeated_batch() -> None:
    weights = {"teacher": 1.0, "teacher_difference": 1.0}
    labels = {"teacher_labels": 0.2, "teacher_labels_difference": 0.2}
    mixing = {"snr_db": [-10, 10], "mix_domain": "waveform", "reference": "excerpt"}
    recipe = tiny_run.recipe(loss=weights | labels | mixing)
    state = tiny_run.state(recipe)
    clips, excerpts = tiny_run.crops(6), tiny_run.crops(6, 1)
    assert state.teacher is not None
    state.teacher.fit_statistics([clips])
    steps = [
        train_step(state, clips, generator(i), recipe=recipe, excerpts=excerpts) for i in range(12)
    ]
    names = ("byol", "difference", "teacher", "remainder", "labels", "labels_remainder")
    for name in names:
        assert getattr(steps[-1], name) < 0.9 * getattr(steps[0], name), name
    total = sum(
        weight * getattr(steps[0], name)
        for name, weight in zip(names, (0.5, 0.5, 1, 1, 0.2, 0.2), strict=True)
    )
    assert steps[0].loss == pytest.approx(total, rel=1e-6)


def test_the_embedding_std_is_0_for_collapse_and_1_without_structure() -> None:
    alike = torch.ones(8, 1) * torch.rand(1, 3072)
    assert float(embedding_std(alike * torch.arange(1.0, 9.0)[:, None])) < 1e-5
    unrelated = torch.randn(64, 3072, generator=generator())
    assert float(embedding_std(unrelated)) == pytest.approx(1, abs=0.02)


def test_a_step_in_bfloat16_does_what_the_one_in_float32_does() -> None:
    recipe = tiny_run.recipe(loss={"lambda": 0.5})
    exact, reduced = tiny_run.state(recipe), tiny_run.state(recipe)
    clips = tiny_run.crops(8)  # with fewer, BatchNorm amplifies rounding

    expected = train_step(exact, clips, generator(3), recipe=recipe)
    found = train_step(reduced, clips, generator(3), recipe=recipe, precision=torch.bfloat16)

    assert found.byol == pytest.approx(expected.byol, rel=0.03)
    assert found.difference == pytest.approx(expected.difference, rel=0.03)
    assert found.gradient_norm == pytest.approx(expected.gradient_norm, rel=0.1)
    assert all(value.dtype == torch.float32 for value in reduced.online.parameters())
