"""Draw crops of one length for training, as a function of seed and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.model.frontend import SAMPLE_RATE
from training.model.model import CROP_SAMPLES
from training.recipe import Crops, DataRecipe


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
        crop_samples: Length of a crop.
    """

    store: ClipStore
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    crops: Crops = "one"
    crop_samples: int = CROP_SAMPLES

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; a last one of fewer than 2 crops per process is dropped (A15)."""
        whole, rest = divmod(len(self._rows()), self.batch_size)
        return whole + (rest // self.world_size >= 2)

    def batch(self, step: int, *, excerpts: bool = False) -> Float32[np.ndarray, "batch samples"]:
        """Cut the crops of a step; clips shorter than a crop are followed by zeros.

        Args:
            step: Number of the step in the run, from 0.
            excerpts: Cut the other excerpts of the same clips, see ``draw``.
        """
        drawn = self.draw(step, excerpts=excerpts)
        offset = drawn.first[:, None] + np.arange(self.crop_samples)
        inside = offset < drawn.lengths[:, None]
        index = drawn.starts[:, None] + np.where(inside, offset, 0)
        return np.where(inside, self.store.samples[index], 0).astype(np.float32) / FULL_SCALE

    def draw(self, step: int, *, excerpts: bool = False) -> DrawnCrops:
        """Draw the places of the crops of a step.

        The other excerpt of a clip starts at least one length away from its crop if the clip has
        room for that wherever the crop lies (three lengths), and otherwise at least half as far
        away as the starts reach. Of a clip that is not longer than a crop it is the same crop.

        Args:
            step: Number of the step in the run, from 0.
            excerpts: Draw another excerpt of the clip of each crop.
        """
        epoch, i = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self._rows())
        shared = order[i * self.batch_size : (i + 1) * self.batch_size]
        own = len(shared) // self.world_size
        rows = shared[self.rank * own : (self.rank + 1) * own]
        draws = np.random.default_rng([self.seed, self.rank, step, 1]).random(own)
        lengths = self.store.lengths[rows]
        n_starts = np.maximum(lengths - self.crop_samples, 0) + 1
        first = (draws * n_starts).astype(np.int64)
        if excerpts:
            apart = np.minimum(self.crop_samples, n_starts // 2)
            draws = np.random.default_rng([self.seed, self.rank, step, 2]).random(own)
            moved = apart + (draws * (n_starts - 2 * apart + 1)).astype(np.int64)
            first = (first + moved) % n_starts
        return DrawnCrops(self.store.starts[rows], first, lengths)

    def _rows(self) -> Int64[np.ndarray, " crops"]:
        """List the row of the clip of each crop of an epoch."""
        rows = np.arange(len(self.store.clips))
        if self.crops == "one":
            return rows
        return np.repeat(rows, np.maximum(self.store.lengths // self.crop_samples, 1))


def crop_samples(recipe: DataRecipe) -> int:
    """Return the length of a crop of a recipe [samples]."""
    return round(recipe.crop_seconds * SAMPLE_RATE)
