"""Two processes over gloo, compared with one that computes their batches one by one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch
import yaml
from torch import Tensor, nn

from training.data.clips import TrainingData
from training.data.sampler import CropSampler
from training.errors import RecipeError
from training.pretraining.checkpoint import load_checkpoint
from training.pretraining.metrics import read_metrics
from training.pretraining.objective import weighted_sum
from training.pretraining.pretrain import pretrain, step_generator
from training.pretraining.processes import Processes, join_processes
from training.pretraining.run import measure_statistics, new_state
from training.pretraining.step import TrainState, compute_losses
from training.pretraining.views import make_views
from training.recipe import Recipe

pytestmark = [pytest.mark.usefixtures("narrow"), pytest.mark.timeout(300)]

RANKS = 2
# The command with hidden layers as narrow as those of the fixture `narrow`.
NARROW = """\
import training.model.encoder, training.pretraining.heads
training.model.encoder.HIDDEN = training.pretraining.heads.HIDDEN = 48
from training.cli import main
main()
"""
# The first process prepares data for four times as long as a collective may take.
SLOW_PREPARATION = """\
import time
from datetime import timedelta
from torch import distributed
from training.pretraining.processes import join_processes

set_timeout = getattr(distributed, "set_timeout", distributed.distributed_c10d._set_pg_timeout)
with join_processes() as processes:
    set_timeout(timedelta(seconds=1))
    processes.run_in_first(lambda: time.sleep(4))
"""
# One process has been running for longer, the other one received a signal.
AGREEMENT = """\
from training.pretraining.processes import join_processes

with join_processes() as processes:
    mine = [50.0, 0.0] if processes.is_first else [40.0, 15.0]
    assert processes.maximum(mine) == [50.0, 15.0]
"""
# Sums over processes and Adam's first moment round in float32.
TOLERANCE = 1e-5


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def start(rank: int, port: int, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a Python process with the environment that torchrun sets."""
    environment = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(RANKS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=output, stderr=output
        )


def run_all(arguments: list[str], folder: Path) -> None:
    """Run all processes to their end; fail with their logs if one of them fails."""
    port, logs = free_port(), [folder / f"{rank}.log" for rank in range(RANKS)]
    started = [start(rank, port, arguments, log) for rank, log in enumerate(logs)]
    try:
        codes = [process.wait(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert codes == [0, 0], "\n".join(log.read_text() for log in logs)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return tiny_run.recipe(optim={"batch_size": 6, "epochs": 1})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("processes")
    return TrainingData(tiny_run.write_sounds(folder / "sounds", 6), folder / "cache")


@pytest.fixture(scope="module")
def run(recipe: Recipe, data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step by two processes."""
    folder = tmp_path_factory.mktemp("run")
    written = folder / "tiny.yaml"
    written.write_text(yaml.safe_dump(recipe.to_dict()))
    options = {"recipe": written, "data": data.path, "out": folder, "cache": data.cache}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    run_all(["-c", NARROW, "pretrain", *arguments], folder)
    return folder


@pytest.fixture(scope="module")
def content(run: Path) -> dict[str, Any]:
    return load_checkpoint(run / "checkpoint.pt")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Use one thread, as `torchrun` sets it: sums are then taken in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def backward(recipe: Recipe, data: TrainingData, rank: int) -> TrainState:
    """Compute the gradients of one of the processes, without the others."""
    store, _ = data.open(recipe)
    state = new_state(recipe, torch.device("cpu"), Processes())
    measure_statistics(state.model, CropSampler(store, 6, recipe.seed), torch.device("cpu"))
    sampler = CropSampler(store, 6, recipe.seed, rank, RANKS)
    generator = step_generator(recipe.seed, rank, 0, torch.device("cpu"))
    clips = torch.from_numpy(sampler.batch(0))
    views = make_views(state.model, state.bank, clips, generator, recipe)
    losses = compute_losses(state, views, generator, torch.float32)
    loss = weighted_sum(losses, recipe.loss)
    loss.backward()  # type: ignore[no-untyped-call]
    return state


def buffers(state: TrainState) -> dict[str, Tensor]:
    networks: dict[str, nn.Module] = {"online": state.online, "target": state.target}
    return {
        f"{network}.{name}": buffer
        for network, module in networks.items()
        for name, buffer in module.named_buffers()
    }


@pytest.mark.usefixtures("one_thread")
def test_two_processes_average_the_gradients_of_their_own_batches(
    recipe: Recipe, data: TrainingData, content: dict[str, Any]
) -> None:
    """Each process has its own BatchNorm, joint normalisation, shift and bank (A16)."""
    alone = [backward(recipe, data, rank) for rank in range(RANKS)]
    moments = content["optimiser"]["state"]
    pairs = zip(*(state.online.named_parameters() for state in alone), strict=True)
    for i, ((name, first), (_, second)) in enumerate(pairs):
        assert first.grad is not None
        assert second.grad is not None
        expected = (first.grad + second.grad) / 2
        # After one step Adam's first moment is a tenth of the gradient.
        found = 10 * moments[i]["exp_avg"]
        deviation = (found - expected).abs().max()
        assert deviation <= TOLERANCE * max(1.0, float(expected.abs().max())), name
    for rank, state in enumerate(alone):
        torch.testing.assert_close(content["banks"][rank]["inputs"], state.bank.inputs)
        for name, buffer in buffers(state).items():
            torch.testing.assert_close(content["buffers"][rank][name], buffer)


def test_each_process_trains_on_its_own_clips(content: dict[str, Any]) -> None:
    banks = [set(bank["inputs"].mean(dim=(1, 2)).tolist()) - {0.0} for bank in content["banks"]]
    assert [len(bank) for bank in banks] == [3, 3]
    assert not banks[0] & banks[1]
    first, second = content["buffers"]
    assert not torch.equal(
        first["online.encoder.norm1.running_mean"], second["online.encoder.norm1.running_mean"]
    )


def test_samples_are_counted_over_all_processes(run: Path, content: dict[str, Any]) -> None:
    assert content["progress"]["samples_seen"] == 6
    assert [line["samples"] for line in read_metrics(run / "metrics.jsonl")] == [6]


def test_processes_agree_on_the_end_of_a_run_of_a_given_time_and_on_a_signal(
    tmp_path: Path,
) -> None:
    run_all(["-c", AGREEMENT], tmp_path)


def test_the_others_wait_for_a_preparation_that_takes_longer_than_a_collective_may(
    tmp_path: Path,
) -> None:
    run_all(["-c", SLOW_PREPARATION], tmp_path)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_processes_that_cannot_share_the_batch_are_refused(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    @contextmanager
    def two() -> Iterator[Processes]:
        yield Processes(rank=1, world_size=2)

    monkeypatch.setattr("training.pretraining.pretrain.join_processes", two)
    monkeypatch.setattr(Processes, "run_in_first", lambda _, prepare: prepare())
    recipe = tiny_run.recipe(optim={"batch_size": batch_size})
    with pytest.raises(RecipeError, match=f"optim.batch_size is {batch_size}.*2 processes"):
        pretrain(recipe, data, tmp_path)


def test_a_single_process_needs_no_group() -> None:
    module = nn.Linear(1, 1)
    with join_processes() as processes:
        assert processes == Processes(rank=0, world_size=1)
        assert processes.is_first
        assert processes.wrap(module) is module
        assert processes.gather("value") == ["value"]
        ran: list[str] = []
        processes.run_in_first(lambda: ran.append("prepared"))
        assert ran == ["prepared"]
