"""How fast is a pre-training step, and where does its time go?

    python benchmarks/training_step.py

Steps of ``cpu.yaml`` at batch 256, with the one-sided and the symmetric difference loss, beside
the matrix products of the same machine in the same run: those bound what a step can reach.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import results
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from training.compute import choose_precision, keep_freed_memory
from training.manifest import SourceClip
from training.model import CROP_SAMPLES
from training.pretrain import step_generator
from training.processes import Processes
from training.recipe import Recipe, load_recipe
from training.run import new_state
from training.sampler import CropSampler
from training.step import train_step
from training.store import ClipStore

CPU = torch.device("cpu")
STEPS = 3
PHASES = ("data", "augmentation", "forward", "backward", "optimiser")
GFLOP_PER_SAMPLE = {"one-sided": 5.0, "symmetric": 6.3}


def main() -> None:
    """Measure and write ``docs/results/training_step.json``."""
    keep_freed_memory()
    figures: dict[str, object] = {"versions": {"torch": torch.__version__}}
    with TemporaryDirectory() as folder:
        store = make_store(Path(folder))
        for name, symmetric in (("one-sided", False), ("symmetric", True)):
            overrides = [f"loss.symmetric={str(symmetric).lower()}", "optim.batch_size=256"]
            recipe = load_recipe("cpu", overrides)
            limit = matrix_gflops(choose_precision(recipe.compute.precision, CPU))
            figures[name] = measure(recipe, store, limit, GFLOP_PER_SAMPLE[name])
    results.write("training_step", figures)


def measure(recipe: Recipe, store: ClipStore, limit: float, gflop: float) -> dict[str, object]:
    """Time some steps after one to warm up."""
    state = new_state(recipe, CPU, Processes())
    sampler = CropSampler(store, recipe.optim.batch_size, recipe.seed)
    precision = choose_precision(recipe.compute.precision, CPU)

    def step(number: int) -> None:
        with record_function("data"):
            crops = torch.from_numpy(sampler.batch(number))
        generator = step_generator(recipe.seed, 0, number, CPU)
        train_step(state, crops, generator, recipe=recipe, precision=precision)

    step(0)
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for number in range(1, 1 + STEPS):
            step(number)
    seconds = time.perf_counter() - start
    spent = {e.key: e.cpu_time_total / 1e6 for e in profiler.key_averages() if e.key in PHASES}
    rate = STEPS * recipe.optim.batch_size / seconds
    return {
        "precision": str(precision).removeprefix("torch."),
        "samples_per_s": round(rate, 1),
        "share_of_time": {name: round(spent[name] / sum(spent.values()), 3) for name in PHASES},
        "matrix_product_gflops": round(limit, 1),
        "share_of_arithmetic_limit": round(rate * gflop / limit, 2),
    }


def matrix_gflops(precision: torch.dtype) -> float:
    """Measure the product of the encoder's second per-frame layer [GFLOP/s]."""
    frames = torch.randn(128 * 24, 2048, dtype=precision)
    weights = torch.randn(2048, 2048, dtype=precision)
    torch.mm(frames, weights)
    start = time.perf_counter()
    for _ in range(8):
        torch.mm(frames, weights)
    return 8 * 2 * frames.shape[0] * 2048 * 2048 / (time.perf_counter() - start) / 1e9


def make_store(folder: Path) -> ClipStore:
    """Make 512 clips of five seconds of noise, in a memory-mapped file like a real store."""
    n, length = 512, 5 * 16_000
    samples = np.memmap(folder / "samples.i16", dtype=np.int16, mode="w+", shape=(n * length,))
    samples[:] = np.random.default_rng(0).integers(-3000, 3000, n * length, dtype=np.int16)
    clips = [SourceClip(folder, f"{i}.wav") for i in range(n)]
    assert length > CROP_SAMPLES
    return ClipStore(clips, samples, np.arange(n) * length, np.full(n, length))


if __name__ == "__main__":
    main()
