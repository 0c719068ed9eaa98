"""The pre-training loop: data, step, metrics, checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from tqdm import tqdm

from training.data.clips import find_clips, is_held_out
from training.data.sampler import CropSampler
from training.data.store import ClipStore, open_store
from training.errors import CheckpointError, DatasetError, RecipeError
from training.export.load import load_bundle
from training.export.provenance import git_commit
from training.pretraining.compute import choose_device, choose_precision, keep_freed_memory
from training.pretraining.metrics import MetricsLog
from training.pretraining.processes import Processes, join_processes
from training.pretraining.run import Progress, measure_statistics, new_state, restore_run, save_run
from training.pretraining.schedules import ema_decay, learning_rate
from training.pretraining.step import TrainState, train_step
from training.pretraining.watch import Watch
from training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
PARENT_ATTRIBUTION = "parent-attribution.csv"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a run's audio is.

    Attributes:
        data: Folder of audio or CSV manifest.
        cache: Folder of decoded audio, shared by runs.
    """

    data: Path
    cache: Path

    def open(self, recipe: Recipe) -> tuple[ClipStore, ClipStore]:
        """Open the clips trained on and those held out, decoding what was not decoded before."""
        clips = find_clips(self.data, recipe.data, recipe.seed)
        store = open_store(clips, self.cache, recipe.data.max_unreadable)
        held_out = store.select(is_held_out(clip, recipe.data.held_out) for clip in store.clips)
        kept = store.select(not is_held_out(clip, recipe.data.held_out) for clip in store.clips)
        return kept, held_out


def pretrain(
    recipe: Recipe,
    source: Source,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = False,
    stop_after: int | None = None,
) -> Path:
    """Pre-train an encoder (paper, sections 4 and 5.1).

    Args:
        recipe: Of the run.
        source: The audio.
        out: Folder of the run: checkpoint, metrics, TensorBoard.
        init: Bundle whose encoder and statistics to go on from, with fresh heads and optimiser.
        resume: Go on from the checkpoint in ``out``; the run then is the one that never stopped.
        stop_after: Stop with a checkpoint after this many steps of the run.

    Returns:
        The checkpoint.

    Raises:
        DatasetError: The data cannot be used, or is too little.
        RecipeError: The processes cannot share the batch.
        CheckpointError: A run is there already and ``resume`` was not asked for, or the
            checkpoint cannot be gone on from.
        DivergenceError: A loss is not finite.
        CollapseError: All embeddings became the same.
    """
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise CheckpointError(f"{out} holds a run; add --resume, or choose another folder")
    keep_freed_memory()
    with join_processes() as processes:
        if processes.is_first:
            out.mkdir(parents=True, exist_ok=True)
            source.open(recipe)
            if init is not None and (init / "ATTRIBUTION.csv").is_file():
                shutil.copy(init / "ATTRIBUTION.csv", out / PARENT_ATTRIBUTION)
        processes.wait()
        run = _begin(recipe, source, processes, init)
        if resume:
            run.progress = restore_run(checkpoint, run.state, recipe, processes)
        run.train(out, stop_after)
    return checkpoint


@dataclass(slots=True)
class PretrainingRun:
    """A run in one of its processes.

    Attributes:
        recipe: Of the run.
        source: Where its audio is.
        processes: Who shares the work.
        device: Where this process computes.
        sampler: Gives this process its crops.
        state: What the steps change.
        progress: How far the run is.
        commit: Of the code that started or resumed the run.
        watch: Notices divergence and collapse.
    """

    recipe: Recipe
    source: Source
    processes: Processes
    device: torch.device
    sampler: CropSampler
    state: TrainState
    progress: Progress
    commit: str = field(default_factory=git_commit)
    watch: Watch = field(default_factory=Watch)

    @property
    def precision(self) -> torch.dtype:
        """What matrix products are computed in."""
        return choose_precision(self.recipe.compute.precision, self.device)

    def train(self, out: Path, stop_after: int | None) -> None:
        """Do the steps that are left, writing metrics and checkpoints."""
        first, compute = self.progress.step, self.recipe.compute
        n_steps = self.recipe.optim.epochs * self.sampler.steps_per_epoch
        last = n_steps if stop_after is None else min(stop_after, n_steps)
        quiet = not self.processes.is_first
        with (
            MetricsLog(out if not quiet else None, first) as log,
            tqdm(total=last, initial=first, unit="step", disable=quiet) as bar,
        ):
            for step, crops in self._batches(first, last):
                metrics = self._step(step, crops, n_steps)
                self.progress.step = step + 1
                self.progress.samples_seen += len(crops) * self.processes.world_size
                bar.update()
                if step % compute.log_every == 0 or step + 1 == last:
                    rate = bar.format_dict["rate"] or 0.0
                    samples_per_s = rate * self.recipe.optim.batch_size
                    bar.set_postfix_str(
                        f"{samples_per_s:.1f} samples/s, loss {metrics['loss']:.3f}"
                    )
                    log.write(step, metrics | {"samples": self.progress.samples_seen})
                if (step + 1) % compute.checkpoint_every == 0:
                    self.save(out / CHECKPOINT)
        self.save(out / CHECKPOINT)

    def save(self, path: Path) -> None:
        """Write the run's checkpoint."""
        origin = {
            "data": str(self.source.data.resolve()),
            "cache": str(self.source.cache.resolve()),
            "commit": self.commit,
            "precision": str(self.precision).removeprefix("torch."),
        }
        save_run(path, self.state, self.progress, self.processes, recipe=self.recipe, origin=origin)

    def _step(
        self, step: int, crops: Float32[np.ndarray, "batch samples"], n_steps: int
    ) -> dict[str, float]:
        rate = learning_rate(step, n_steps, self.recipe.optim)
        decay = ema_decay(step, n_steps, self.recipe.optim)
        for group in self.state.optimiser.param_groups:
            group["lr"] = rate
        metrics = train_step(
            self.state,
            torch.from_numpy(crops).to(self.device),
            step_generator(self.recipe.seed, self.processes.rank, step, self.device),
            recipe=self.recipe,
            precision=self.precision,
            ema_decay=decay,
        )
        self.watch.check(step, metrics)
        return asdict(metrics) | {"learning_rate": rate, "ema_decay": decay}

    def _batches(
        self, first: int, last: int
    ) -> Iterator[tuple[int, Float32[np.ndarray, "batch samples"]]]:
        """Cut each batch while the step before it computes."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.sampler.batch, first)
            for step in range(first, last):
                crops = ahead.result()
                ahead = pool.submit(self.sampler.batch, step + 1)
                yield step, crops


def step_generator(seed: int, rank: int, step: int, device: torch.device) -> torch.Generator:
    """Make the generator of one step of one process: a function of its arguments alone."""
    state = np.random.SeedSequence([seed, rank, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def _begin(
    recipe: Recipe, source: Source, processes: Processes, init: Path | None
) -> PretrainingRun:
    device = choose_device()
    store, held_out = source.open(recipe)
    first_rank = CropSampler(store, recipe.optim.batch_size, recipe.seed, crops=recipe.data.crops)
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
        loaded = load_bundle(init)
        state = new_state(recipe, device, processes, loaded.model)
        progress.parent = loaded.manifest.encoder.fingerprint
        progress.parent_samples = loaded.manifest.training.samples_seen
    return PretrainingRun(recipe, source, processes, device, sampler, state, progress)
