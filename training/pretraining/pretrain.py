"""The pre-training loop: data, steps, metrics, checkpoints."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from training.data.clips import TrainingData
from training.data.device_crops import Batches, open_crops
from training.data.sampler import CropSampler, crop_samples
from training.errors import CheckpointError, DatasetError, RecipeError, RunStoppedError
from training.export.parts import PARENT_ATTRIBUTION, load_parent
from training.export.provenance import git_commit
from training.pretraining.compute import choose_device, choose_precision, keep_freed_memory
from training.pretraining.length import RunLength
from training.pretraining.metrics import MetricsLog
from training.pretraining.processes import Processes, join_processes
from training.pretraining.run import Progress, measure_statistics, new_state, restore_run, save_run
from training.pretraining.schedules import ema_decay, learning_rate
from training.pretraining.stability import StabilityCheck
from training.pretraining.step import TrainState, train_step
from training.pretraining.stopping import StopSignals
from training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
Batch = tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"] | None]


def pretrain(  # noqa: PLR0913 - each is an option of the command
    recipe: Recipe,
    data: TrainingData,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    minutes: float | None = None,
) -> Path:
    """Pre-train an encoder (paper, sections 4 and 5.1).

    Args:
        recipe: Recipe of the run.
        data: The audio.
        out: Folder of the run: checkpoint, metrics, TensorBoard.
        init: Bundle, or encoder in parts, whose encoder and statistics to start from, with new
            heads and optimiser.
        resume: Continue from the checkpoint in ``out``; the result is that of a run without a stop.
        stop_after: Stop with a checkpoint after this many steps of the run.
        minutes: Length of the run in training time [min], instead of the recipe's epochs; cosine
            schedules end with it. A resumed run has what its earlier parts left of it.

    Returns:
        The path of the checkpoint.

    Raises:
        DatasetError: The data cannot be used, or is too little.
        RecipeError: The batch cannot be shared by the processes.
        CheckpointError: The folder has a checkpoint and ``resume`` is False, or the checkpoint
            cannot be resumed.
        RunStoppedError: SIGINT or SIGTERM stopped the run; there is a checkpoint.
        DivergenceError: A loss is not finite.
        CollapseError: All embeddings became the same.
    """
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise CheckpointError(f"{out} holds a run; add --resume, or choose another folder")

    def prepare() -> None:
        out.mkdir(parents=True, exist_ok=True)
        data.open(recipe)
        if init is not None and (init / "ATTRIBUTION.csv").is_file():
            shutil.copy(init / "ATTRIBUTION.csv", out / PARENT_ATTRIBUTION)

    keep_freed_memory()
    with join_processes() as processes:
        processes.run_in_first(prepare)
        run = _start_run(recipe, data, processes, init)
        if resume:
            run.progress = restore_run(checkpoint, run.state, recipe, processes)
        n_steps = recipe.optim.epochs * run.sampler.steps_per_epoch
        n_steps = min(n_steps, recipe.optim.max_steps or n_steps)
        seconds = None if minutes is None else 60.0 * minutes
        run.train(out, RunLength(n_steps, seconds, stop_after))
    return checkpoint


@dataclass(slots=True)
class PretrainingRun:
    """A run, in one of its processes.

    Attributes:
        recipe: Recipe of the run.
        data: The audio.
        processes: The processes that share the work.
        device: Device of this process.
        sampler: Source of this process's crops.
        state: The state that steps change.
        progress: Progress of the run.
        commit: Commit of the code that started or resumed the run.
        stability: Detects divergence and collapse.
    """

    recipe: Recipe
    data: TrainingData
    processes: Processes
    device: torch.device
    sampler: CropSampler
    state: TrainState
    progress: Progress
    commit: str = field(default_factory=git_commit)
    stability: StabilityCheck = field(default_factory=StabilityCheck)

    @property
    def precision(self) -> torch.dtype:
        """Type that matrix products are computed in."""
        return choose_precision(self.recipe.compute.precision, self.device)

    def train(self, out: Path, length: RunLength) -> None:
        """Do the remaining steps; write metrics and checkpoints.

        Raises:
            RunStoppedError: A signal stopped the run after a checkpoint.
        """
        first, compute = self.progress.step, self.recipe.compute
        quiet, stopped_by = not self.processes.is_first, 0
        start = time.monotonic() - self.progress.seconds
        with (
            StopSignals() as signals,
            MetricsLog(out if not quiet else None, first) as log,
            tqdm(total=length.known_steps, initial=first, unit="step", disable=quiet) as bar,
        ):
            for step, (crops, excerpts) in self._batches(length):
                n_steps = length.total_steps(step, self.progress.seconds)
                metrics = self._step(step, crops, excerpts, n_steps)
                self.progress.step = step + 1
                self.progress.samples_seen += len(crops) * self.processes.world_size
                stopped_by = self._agree(start if length.seconds else None, signals)
                is_last = stopped_by or length.is_over(step + 1, self.progress.seconds)
                bar.update()
                if step % compute.log_every == 0 or is_last:
                    rate = bar.format_dict["rate"] or 0.0
                    samples_per_s = rate * self.recipe.optim.batch_size
                    bar.set_postfix_str(
                        f"{samples_per_s:.1f} samples/s, loss {metrics['loss']:.3f}"
                    )
                    log.write(step, metrics | {"samples": self.progress.samples_seen})
                if is_last:
                    break
                if (step + 1) % compute.checkpoint_every == 0:
                    self.save(out / CHECKPOINT)
            self.save(out / CHECKPOINT)
        if stopped_by and not length.is_over(self.progress.step, self.progress.seconds):
            raise RunStoppedError(
                stopped_by,
                f"stopped by {signal.Signals(stopped_by).name} after step {self.progress.step}; "
                f"add --resume to continue from {out / CHECKPOINT}",
            )

    def save(self, path: Path) -> None:
        """Write the run's checkpoint."""
        origin = {
            "data": str(self.data.path.resolve()),
            "cache": str(self.data.cache.resolve()),
            "commit": self.commit,
            "precision": str(self.precision).removeprefix("torch."),
        }
        save_run(path, self.state, self.progress, self.processes, recipe=self.recipe, origin=origin)

    def _step(
        self,
        step: int,
        crops: Float[Tensor, "batch samples"],
        excerpts: Float[Tensor, "batch samples"] | None,
        n_steps: float,
    ) -> dict[str, float]:
        rate = learning_rate(step, n_steps, self.recipe.optim)
        decay = ema_decay(step, n_steps, self.recipe.optim)
        for group in self.state.optimiser.param_groups:
            group["lr"] = rate
        metrics = train_step(
            self.state,
            crops.to(self.device),
            step_generator(self.recipe.seed, self.processes.rank, step, self.device),
            recipe=self.recipe,
            precision=self.precision,
            ema_decay=decay,
            excerpts=None if excerpts is None else excerpts.to(self.device),
        )
        self.stability.check(step, metrics)
        return asdict(metrics) | {"learning_rate": rate, "ema_decay": decay}

    def _agree(self, start: float | None, signals: StopSignals) -> int:
        """Agree with the other processes on the time and on a signal; return its number, or 0.

        Args:
            start: Time at which the run would have started without a break [s]; None if the time
                does not matter.
            signals: Those that this process received.
        """
        elapsed = self.progress.seconds if start is None else time.monotonic() - start
        elapsed, number = self.processes.maximum([elapsed, float(signals.received or 0)])
        self.progress.seconds = elapsed
        return int(number)

    def _batches(self, length: RunLength) -> Iterator[tuple[int, Batch]]:
        """Yield the batches; each is cut while the step before it is computed."""
        batch = open_crops(self.sampler, self.device, self.recipe.compute.store)
        with ThreadPoolExecutor(1) as pool:
            step = self.progress.step
            following = pool.submit(self._cut, batch, step)
            while not length.is_over(step, self.progress.seconds):
                crops = following.result()
                following = pool.submit(self._cut, batch, step + 1)
                yield step, crops
                step += 1

    def _cut(self, batch: Batches, step: int) -> Batch:
        """Cut the crops of a step and, if the recipe mixes them, other excerpts of their clips."""
        mixes = self.recipe.loss.mixes_excerpts
        return batch(step), batch(step, excerpts=True) if mixes else None


def step_generator(seed: int, rank: int, step: int, device: torch.device) -> torch.Generator:
    """Make the random generator of one step of one process, from the arguments alone."""
    state = np.random.SeedSequence([seed, rank, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def _start_run(
    recipe: Recipe, data: TrainingData, processes: Processes, init: Path | None
) -> PretrainingRun:
    device = choose_device()
    store, held_out = data.open(recipe)
    first_rank = CropSampler(
        store,
        recipe.optim.batch_size,
        recipe.seed,
        crops=recipe.data.crops,
        crop_samples=crop_samples(recipe.data),
    )
    sampler = replace(first_rank, rank=processes.rank, world_size=processes.world_size)
    share, rest = divmod(recipe.optim.batch_size, processes.world_size)
    if rest or share < 2:
        raise RecipeError(
            f"optim.batch_size is {recipe.optim.batch_size}: it must be a multiple of the "
            f"{processes.world_size} processes, and at least 2 for each"
        )
    if sampler.steps_per_epoch == 0:
        raise DatasetError(
            f"{len(store.clips)} clips are left to train on and {len(held_out.clips)} are held "
            f"out; {processes.world_size} processes need at least 2 each"
        )
    progress = Progress()
    if init is None:
        state = new_state(recipe, device, processes)
        measure_statistics(state.model, first_rank, device)
    else:
        parent = load_parent(init)
        state = new_state(recipe, device, processes, parent.model)
        progress.parent = parent.fingerprint
        progress.parent_samples = parent.samples_seen
    if state.teacher is not None:
        measure_statistics(state.teacher, first_rank, device)
    return PretrainingRun(recipe, data, processes, device, sampler, state, progress)
