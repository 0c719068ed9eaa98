"""A small pre-training run for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import synth
import torch
from torch import Tensor

from training.data.manifest import SourceClip
from training.data.store import ClipStore
from training.model.model import CROP_SAMPLES
from training.pretraining.processes import Processes
from training.pretraining.run import new_state
from training.pretraining.step import TrainState
from training.recipe import Recipe


def recipe(*, seed: int = 0, **sections: Mapping[str, object]) -> Recipe:
    """Make a recipe of a few steps; the arguments override it, key by key."""
    content: dict[str, dict[str, object]] = {
        "data": {},
        "views": {"bank_size": 8},
        "loss": {"lambda": 0.5},
        "optim": {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3},
        "compute": {"precision": "float32", "log_every": 1},
    }
    for name, values in sections.items():
        content[name] |= values
    return Recipe.model_validate({"name": "tiny", "seed": seed, **content})


def state(recipe: Recipe) -> TrainState:
    """Set up a run in one process on the CPU, with the statistics of typical audio."""
    state = new_state(recipe, torch.device("cpu"), Processes())
    state.model.mean.fill_(-9.0)
    state.model.std.fill_(4.0)
    return state


def crops(n: int, seed: int = 0) -> Tensor:
    """Make crops of noise and tones of different pitch and level."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, CROP_SAMPLES, generator=generator)
    pitch = 0.02 + torch.rand(n, 1, generator=generator)
    tone = torch.sin(pitch * torch.arange(CROP_SAMPLES))
    return 0.02 * noise + 0.3 * torch.rand(n, 1, generator=generator) * tone


def log_mels(n: int, seed: int = 0, *, frames: int = 96) -> Tensor:
    """Make random values like those of normalised log-mels."""
    return torch.randn(n, 64, frames, generator=torch.Generator().manual_seed(seed))


def store(clips: Sequence[np.ndarray]) -> ClipStore:
    """Put clips of 16-bit samples into a store in memory."""
    lengths = np.array([clip.size for clip in clips])
    files = [SourceClip(Path("sounds"), f"{i}.wav") for i in range(len(clips))]
    samples = np.concatenate(clips).astype(np.int16)
    return ClipStore(files, samples, np.cumsum(lengths) - lengths, lengths)


def write_sounds(folder: Path, n: int, *, duration_s: float = 1.0) -> Path:
    """Write files of tones with noise into a folder and return it."""
    for i in range(n):
        sound = synth.tone(150.0 * 1.3**i, duration_s, amplitude=0.3) + synth.noise(i, duration_s)
        synth.write(folder / f"sound{i:02}.wav", sound)
    return folder
