"""Speed of a pre-training step, and the time of its parts.

    python benchmarks/training_step.py

Steps of ``cpu.yaml`` with batches of 256 are measured with the one-sided and the symmetric
difference loss, in the precision that `auto` chooses and in float32. After each step the same run
measures the matrix products that it consists of, with their shapes and numbers: the arithmetic
limit. The second convolution counts as the product of its unfolded input with its weights, and so
does its gradient, which is a convolution too. The first one, whose product would be bound by
memory, and the log-mel are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import results
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from training.data.manifest import SourceClip
from training.data.sampler import CropSampler
from training.data.store import ClipStore
from training.model import encoder
from training.model.encoder import CHANNELS, DIM, LOCAL, TIME_STRIDE
from training.model.frontend import HOP_LENGTH, N_MELS
from training.model.model import CROP_SAMPLES
from training.pretraining import heads
from training.pretraining.compute import choose_precision, keep_freed_memory
from training.pretraining.heads import PROJECTION
from training.pretraining.pretrain import step_generator
from training.pretraining.processes import Processes
from training.pretraining.run import new_state
from training.pretraining.step import train_step
from training.recipe import Recipe, load_recipe

CPU = torch.device("cpu")
CROP_FRAMES = 1 + CROP_SAMPLES // HOP_LENGTH
STEPS = 7
PROFILED = 2  # separate steps, since profiling slows them down
PHASES = ("data", "augmentation", "forward", "backward", "optimiser")


class Layer(NamedTuple):
    """Matrix products of a layer in a step.

    Attributes:
        rows: Rows for each sample.
        inputs: Columns of the input.
        outputs: Columns of the product.
        forward: Number of forward passes of a batch in a step.
        backward: Number of backward passes.
    """

    rows: int
    inputs: int
    outputs: int
    forward: int
    backward: int

    def gflop(self) -> float:
        """Count the operations for each sample; a backward pass has two products."""
        return 2e-9 * self.rows * self.inputs * self.outputs * (self.forward + 2 * self.backward)


def layers(*, symmetric: bool) -> list[Layer]:
    """List the layers of the encoder and the heads, with their passes in a step."""
    online = 4 if symmetric else 3  # two views, and a mixture for each direction
    both = online + 2  # plus the two views of the target network
    frames = CROP_FRAMES // TIME_STRIDE
    convolved = (CROP_FRAMES // 2) * (N_MELS // 2)
    return [
        Layer(convolved, 9 * CHANNELS, CHANNELS, both, online),
        Layer(frames, LOCAL, encoder.HIDDEN, both, online),
        Layer(frames, encoder.HIDDEN, DIM - LOCAL, both, online),
        Layer(1, DIM, heads.HIDDEN, both, online),
        Layer(1, heads.HIDDEN, PROJECTION, both + online, 2 * online),
        Layer(1, PROJECTION, heads.HIDDEN, online, online),
    ]


def main() -> None:
    """Measure and write ``docs/results/training_step.json``."""
    keep_freed_memory()
    figures: dict[str, object] = {"versions": {"torch": torch.__version__}}
    with TemporaryDirectory() as folder:
        store = make_store(Path(folder))
        for name, symmetric in (("one-sided", False), ("symmetric", True)):
            overrides = [f"loss.symmetric={str(symmetric).lower()}", "optim.batch_size=256"]
            figures[name] = measure(load_recipe("cpu", overrides), store)
            if choose_precision("auto", CPU) != torch.float32:
                exact = load_recipe("cpu", [*overrides, "compute.precision=float32"])
                figures[f"{name}, float32"] = measure(exact, store)
    results.write("training_step", figures, of_processor=True)


def measure(recipe: Recipe, store: ClipStore) -> dict[str, object]:
    """Time steps and their products alternately, after a warm-up; then profile some steps."""
    batch = recipe.optim.batch_size
    precision = choose_precision(recipe.compute.precision, CPU)
    state = new_state(recipe, CPU, Processes())
    sampler = CropSampler(store, batch, recipe.seed, crops=recipe.data.crops)
    used = layers(symmetric=recipe.loss.symmetric)

    def step(number: int) -> None:
        with record_function("data"):
            crops = torch.from_numpy(sampler.batch(number))
        generator = step_generator(recipe.seed, 0, number, CPU)
        train_step(state, crops, generator, recipe=recipe, precision=precision)

    step(0)
    seconds, limits = [], []
    for number in range(1, 1 + STEPS):
        seconds.append(time_of(lambda number=number: step(number)))
        limits.append(sum(time_of_products(layer, batch, precision) for layer in used))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for number in range(1 + STEPS, 1 + STEPS + PROFILED):
            step(number)
    phase_s = {e.key: e.cpu_time_total / 1e6 for e in profiler.key_averages() if e.key in PHASES}
    gflop = batch * sum(layer.gflop() for layer in used)
    return {
        "precision": str(precision).removeprefix("torch."),
        "samples_per_s": round(batch / median(seconds), 1),
        "share_of_time": {name: round(phase_s[name] / sum(phase_s.values()), 3) for name in PHASES},
        "gflop_per_sample": round(gflop / batch, 2),
        "matrix_product_gflops": round(gflop / median(limits), 1),
        "share_of_arithmetic_limit": round(
            median(limit / step_s for limit, step_s in zip(limits, seconds, strict=True)), 2
        ),
    }


def time_of_products(layer: Layer, batch: int, precision: torch.dtype) -> float:
    """Time all products of a layer in a step [s]."""
    x = torch.randn(batch * layer.rows, layer.inputs, dtype=precision)
    weights = torch.randn(layer.outputs, layer.inputs, dtype=precision)
    y = torch.mm(x, weights.T)
    # The gradient of a convolution is a convolution with the same number of taps.
    is_convolution = layer.inputs == 9 * layer.outputs
    to_input = (lambda: x @ weights.T) if is_convolution else (lambda: y @ weights)
    forward, back = time_of(lambda: x @ weights.T), time_of(to_input)
    return layer.forward * forward + layer.backward * (back + time_of(lambda: y.T @ x))


def time_of(action: Callable[[], object]) -> float:
    """Time one call [s]."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def make_store(folder: Path) -> ClipStore:
    """Make 512 clips of five seconds of noise in a memory-mapped file, as in a real store."""
    n, length = 512, 5 * 16_000
    samples = np.memmap(folder / "samples.i16", dtype=np.int16, mode="w+", shape=(n * length,))
    samples[:] = np.random.default_rng(0).integers(-3000, 3000, n * length, dtype=np.int16)
    clips = [SourceClip(folder, f"{i}.wav") for i in range(n)]
    assert length > CROP_SAMPLES
    return ClipStore(clips, samples, np.arange(n) * length, np.full(n, length))


if __name__ == "__main__":
    main()
