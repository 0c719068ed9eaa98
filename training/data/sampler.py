"""Draw crops of 0.95 s for training, as a function of seed and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.model.model import CROP_SAMPLES
from training.recipe import Crops


@dataclass(frozen=True, slots=True)
class DrawnCrops:
    """Places of the crops of a step.

    Attributes:
        starts: First sample of the clip of each crop, in the store.
        first: First sample of each crop, in its clip.
        lengths: Number of samples of the clip of each crop.
    """

    starts: Int64[np.ndarray, " batch"]
    first: Int64[np.ndarray, " batch"]
    lengths: Int64[np.ndarray, " batch"]


@dataclass(frozen=True, slots=True)
class CropSampler:
    """Source of the batches of one process.

    Each epoch has the crops of every clip in a new order. A batch depends on the seed and its
    number alone, so a run can resume at any step without a saved state.

    Attributes:
        store: The clips.
        batch_size: Number of crops of a step, over all processes.
        seed: Seed of the run.
        rank: Number of this process.
        world_size: Number of processes, which share each batch equally.
        crops: Crops of each clip in an epoch.
    """

    store: ClipStore
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    crops: Crops = "one"

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; a last one of fewer than 2 crops per process is dropped (A15)."""
        whole, rest = divmod(len(self._rows()), self.batch_size)
        return whole + (rest // self.world_size >= 2)

    def batch(self, step: int) -> Float32[np.ndarray, "batch samples"]:
        """Cut the crops of a step; clips shorter than a crop are followed by zeros.

        Args:
            step: Number of the step in the run, from 0.
        """
        drawn = self.draw(step)
        offset = drawn.first[:, None] + np.arange(CROP_SAMPLES)
        inside = offset < drawn.lengths[:, None]
        index = drawn.starts[:, None] + np.where(inside, offset, 0)
        return np.where(inside, self.store.samples[index], 0).astype(np.float32) / FULL_SCALE

    def draw(self, step: int) -> DrawnCrops:
        """Draw the places of the crops of a step.

        Args:
            step: Number of the step in the run, from 0.
        """
        epoch, i = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self._rows())
        shared = order[i * self.batch_size : (i + 1) * self.batch_size]
        own = len(shared) // self.world_size
        rows = shared[self.rank * own : (self.rank + 1) * own]
        draws = np.random.default_rng([self.seed, self.rank, step, 1]).random(own)
        lengths = self.store.lengths[rows]
        n_starts = np.maximum(lengths - CROP_SAMPLES, 0) + 1
        return DrawnCrops(self.store.starts[rows], (draws * n_starts).astype(np.int64), lengths)

    def _rows(self) -> Int64[np.ndarray, " crops"]:
        """List the row of the clip of each crop of an epoch."""
        rows = np.arange(len(self.store.clips))
        if self.crops == "one":
            return rows
        return np.repeat(rows, np.maximum(self.store.lengths // CROP_SAMPLES, 1))
