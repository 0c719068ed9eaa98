"""Start, save and restore the state of a pre-training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from training.data.sampler import CropSampler, crop_samples
from training.errors import CheckpointError
from training.model.frontend import HOP_LENGTH, N_MELS
from training.model.model import EmbeddingModel
from training.pretraining.augment import MixupBank
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.pretraining.compute import compile_forward
from training.pretraining.networks import OnlineNetwork, TargetNetwork
from training.pretraining.objective import Objective
from training.pretraining.processes import Processes
from training.pretraining.step import TrainState
from training.recipe import Recipe
from training.teacher.files import N_CLASSES, find_teacher
from training.teacher.target import TeacherTarget
from training.teacher.yamnet import DIM as TEACHER_DIM
from training.teacher.yamnet import Yamnet

FORMAT = 1
STATISTICS_CROPS = 10_000  # at least, if an epoch has that many


@dataclass(slots=True)
class Progress:
    """Progress of a run.

    Attributes:
        step: Number of steps done.
        samples_seen: Number of crops this run was trained on.
        parent: Fingerprint of the encoder that the run started from, or None.
        parent_samples: Number of crops that encoder was trained on.
        seconds: Training time [s]; only counted in a run of a given time.
    """

    step: int = 0
    samples_seen: int = 0
    parent: str | None = None
    parent_samples: int = 0
    seconds: float = 0.0


def new_state(
    recipe: Recipe, device: torch.device, processes: Processes, model: EmbeddingModel | None = None
) -> TrainState:
    """Set up networks, mixup bank and optimiser, equal in every process for the same seed.

    Args:
        recipe: Recipe of the run.
        device: Device to compute on.
        processes: The processes that average their gradients.
        model: An encoder to start from; None makes a new one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = model or EmbeddingModel()
        online = OnlineNetwork(
            model.encoder,
            with_difference=recipe.loss.lambda_ > 0,
            teacher_dim=TEACHER_DIM if recipe.loss.predicts_embedding else 0,
            n_labels=N_CLASSES if recipe.loss.predicts_labels else 0,
        )
    model.to(device)
    online.to(device).to(memory_format=torch.channels_last)
    target = TargetNetwork(online)
    for network in (model, online, target):
        network.train()
    frames = 1 + crop_samples(recipe.data) // HOP_LENGTH
    bank = MixupBank(recipe.views.bank_size, N_MELS, frames).to(device)
    if recipe.compute.compile:
        compile_forward([online.encoder, target.encoder])
    optimiser = torch.optim.Adam(online.parameters(), lr=recipe.optim.learning_rate)
    objective = processes.wrap(Objective(online, recipe.loss))
    teacher = TeacherTarget(Yamnet(find_teacher())).to(device) if recipe.loss.has_teacher else None
    return TrainState(model, online, target, bank, optimiser, objective, teacher)


def measure_statistics(
    fitted: EmbeddingModel | TeacherTarget, sampler: CropSampler, device: torch.device
) -> None:
    """Set mean and standard deviation of the model or the teacher from the first crops of training.

    All values of the log-mels count alike. Whole batches are taken until there are 10,000 crops,
    at most one epoch (docs/method.md, "Normalisation statistics"); batches of 256 give 10,240.
    """
    n_steps = min(-(-STATISTICS_CROPS // sampler.batch_size), sampler.steps_per_epoch)
    batches = (sampler.batch(step) for step in range(n_steps))
    fitted.fit_statistics(torch.from_numpy(crops).to(device) for crops in batches)


def save_run(
    path: Path,
    state: TrainState,
    progress: Progress,
    processes: Processes,
    *,
    recipe: Recipe,
    origin: dict[str, str],
) -> None:
    """Write the checkpoint of a run; every process takes part, the first one writes.

    Args:
        path: Path of the checkpoint.
        state: State of this process.
        progress: Progress of the run.
        processes: The processes whose banks and BatchNorm statistics are collected.
        recipe: Recipe of the run.
        origin: Paths of data and cache, commit of the code, and precision.
    """
    banks = processes.gather({name: b.cpu() for name, b in state.bank.state_dict().items()})
    buffers = processes.gather(_local_buffers(state))
    if not processes.is_first:
        return
    content = {
        "format": FORMAT,
        "recipe": recipe.to_dict(),
        "origin": origin,
        "progress": {name: getattr(progress, name) for name in Progress.__slots__},
        "statistics": {"mean": float(state.model.mean), "std": float(state.model.std)},
        "teacher": state.teacher.statistics() if state.teacher is not None else None,
        "online": state.online.state_dict(),
        "target": state.target.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "banks": banks,
        "buffers": buffers,
    }
    save_checkpoint(path, content)


def restore_run(path: Path, state: TrainState, recipe: Recipe, processes: Processes) -> Progress:
    """Load the state of a checkpoint into ``state``.

    Raises:
        CheckpointError: Not readable, or written by another recipe or number of processes.
    """
    content = load_checkpoint(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {content.get('format')}, this is {FORMAT}")
    if not _is_same(content["recipe"], recipe):
        raise CheckpointError(f"{path} was made by another recipe; start a new run, or use its own")
    if len(content["banks"]) != processes.world_size:
        raise CheckpointError(f"{path} belongs to a run of {len(content['banks'])} processes")
    state.online.load_state_dict(content["online"])
    state.target.load_state_dict(content["target"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.bank.load_state_dict(content["banks"][processes.rank])
    for name, value in content["buffers"][processes.rank].items():
        network, _, buffer = name.partition(".")
        getattr(state, network).get_buffer(buffer).copy_(value)
    restore_statistics(state.model, content)
    if state.teacher is not None:
        state.teacher.load_state_dict(content["teacher"], strict=False)
    return Progress(**content["progress"])


def restore_statistics(model: EmbeddingModel, content: dict[str, Any]) -> None:
    """Set the model's normalisation statistics from a checkpoint."""
    model.mean.fill_(content["statistics"]["mean"])
    model.std.fill_(content["statistics"]["std"])


def _is_same(found: dict[str, Any], recipe: Recipe) -> bool:
    """Compare recipes; settings that were added after one was written have their defaults."""
    try:
        return Recipe.model_validate(found) == recipe
    except ValidationError:
        return False


def _local_buffers(state: TrainState) -> dict[str, torch.Tensor]:
    """Collect the BatchNorm statistics of this process, which differ between processes."""
    return {
        f"{network}.{name}": buffer.cpu()
        for network in ("online", "target")
        for name, buffer in getattr(state, network).named_buffers()
    }
