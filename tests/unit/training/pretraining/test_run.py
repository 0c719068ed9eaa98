from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_run
import torch
from torch import Tensor

from training.data.sampler import CropSampler
from training.data.wav import FULL_SCALE
from training.errors import CheckpointError
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.pretraining.processes import Processes
from training.pretraining.run import Progress, measure_statistics, restore_run, save_run
from training.pretraining.step import TrainState, train_step
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("narrow")

CPU = torch.device("cpu")
ORIGIN = {"data": "data", "cache": "cache", "commit": "unknown"}


@dataclass(frozen=True)
class TwoProcesses(Processes):
    """Two processes with equal values, as seen by one of them."""

    world_size: int = 2

    def gather(self, value: Any) -> list[Any]:
        return [value, value]


def everything(state: TrainState) -> dict[str, Tensor]:
    """Collect all numbers that the next step depends on."""
    values = {}
    for network in ("model", "online", "target", "bank"):
        for name, value in getattr(state, network).state_dict().items():
            values[f"{network}.{name}"] = value.clone()
    for i, moments in state.optimiser.state_dict()["state"].items():
        values |= {f"optimiser.{i}.{name}": value.clone() for name, value in moments.items()}
    return values


def assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [n for n, value in expected.items() if not torch.equal(found[n], value)] == []


def save(path: Path, state: TrainState, progress: Progress, recipe: Recipe) -> None:
    save_run(path, state, progress, Processes(), recipe=recipe, origin=ORIGIN)


def test_equal_seeds_set_up_equal_runs_and_leave_global_randomness_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = tiny_run.state(tiny_run.recipe(seed=4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert_equal(everything(tiny_run.state(tiny_run.recipe(seed=4))), everything(first))
    other = everything(tiny_run.state(tiny_run.recipe(seed=5)))
    name = "online.encoder.conv1.weight"
    assert not torch.equal(other[name], everything(first)[name])


def test_the_statistics_are_those_of_all_values_of_the_first_crops() -> None:
    random = np.random.default_rng(0)
    store = tiny_run.store([random.standard_normal(16_000) * 500 * (i + 1) for i in range(7)])
    sampler = CropSampler(store, batch_size=3, seed=0)
    model = tiny_run.state(tiny_run.recipe()).model
    measure_statistics(model, sampler, CPU)
    # Two whole batches; a third, of a single crop, is dropped.
    crops = torch.from_numpy(np.concatenate([sampler.batch(0), sampler.batch(1)]))
    assert crops.abs().max() < 30_000 / FULL_SCALE
    log_mel = model.frontend(crops).detach().double().numpy()
    assert float(model.mean) == pytest.approx(log_mel.mean(), rel=1e-6)
    assert float(model.std) == pytest.approx(log_mel.std(), rel=1e-6)


def test_a_restored_run_holds_all_that_the_next_step_depends_on(tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint.pt", tiny_run.recipe()
    state = tiny_run.state(recipe)
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        train_step(state, tiny_run.crops(3, step), generator, recipe=recipe)
    save(path, state, Progress(2, 6, "f" * 64, 100), recipe)
    restored = tiny_run.state(recipe)
    restored.model.mean.fill_(0.0)
    progress = restore_run(path, restored, recipe, Processes())
    assert progress == Progress(2, 6, "f" * 64, 100)
    assert_equal(everything(restored), everything(state))
    steps = [
        train_step(each, tiny_run.crops(3, 2), torch.Generator().manual_seed(2), recipe=recipe)
        for each in (state, restored)
    ]
    assert steps[0] == steps[1]
    assert_equal(everything(restored), everything(state))


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint.pt", tiny_run.recipe()
    save(path, tiny_run.state(recipe), Progress(), recipe)
    other = tiny_run.recipe(loss={"lambda": 0.2})
    with pytest.raises(CheckpointError, match="another recipe"):
        restore_run(path, tiny_run.state(other), other, Processes())


def test_a_checkpoint_of_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint.pt", tiny_run.recipe()
    state = tiny_run.state(recipe)
    save_run(path, state, Progress(), TwoProcesses(), recipe=recipe, origin=ORIGIN)
    assert len(load_checkpoint(path)["banks"]) == 2
    with pytest.raises(CheckpointError, match="a run of 2 processes"):
        restore_run(path, tiny_run.state(recipe), recipe, Processes())


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint.pt", tiny_run.recipe()
    state = tiny_run.state(recipe)
    save_run(path, state, Progress(), TwoProcesses(rank=1), recipe=recipe, origin=ORIGIN)
    assert not path.exists()


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    path, recipe = tmp_path / "checkpoint.pt", tiny_run.recipe()
    save_checkpoint(path, {"format": 99})
    with pytest.raises(CheckpointError, match="has format 99"):
        restore_run(path, tiny_run.state(recipe), recipe, Processes())
