"""Crops gathered on the device of training, where the decoded clips fit into its memory."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from training.data.sampler import CropSampler
from training.data.wav import FULL_SCALE
from training.recipe import Store

MEMORY_SHARE = 0.5  # of a GPU's free memory that the clips may take


class Batches(Protocol):
    """Source of the crops of a step, or of the other excerpts of their clips."""

    def __call__(self, step: int, *, excerpts: bool = False) -> Float[Tensor, "batch samples"]:
        """Cut the crops; see ``CropSampler.batch``."""


class DeviceCrops:
    """The clips of a sampler in the memory of a device.

    Its batches are those of the sampler bit for bit: the draws are the sampler's.

    Args:
        sampler: Source of the draws.
        device: Device that holds all clips.
    """

    def __init__(self, sampler: CropSampler, device: torch.device) -> None:
        self.sampler = sampler
        self.device = device
        self.samples = torch.from_numpy(np.array(sampler.store.samples, np.int16)).to(device)
        self.offsets = torch.arange(sampler.crop_samples, device=device)
        # A tensor, since a GPU multiplies by the reciprocal of a number instead of dividing.
        self.full_scale = torch.tensor(FULL_SCALE, dtype=torch.float32, device=device)

    def batch(self, step: int, *, excerpts: bool = False) -> Float[Tensor, "batch samples"]:
        """Cut the crops of a step; see ``CropSampler.batch``."""
        drawn = self.sampler.draw(step, excerpts=excerpts)
        starts, first, lengths = (
            torch.from_numpy(values).to(self.device)[:, None]
            for values in (drawn.starts, drawn.first, drawn.lengths)
        )
        offset = first + self.offsets
        inside = offset < lengths
        values = self.samples[starts + torch.where(inside, offset, 0)]
        return torch.where(inside, values, 0).float() / self.full_scale


def open_crops(sampler: CropSampler, device: torch.device, store: Store) -> Batches:
    """Choose where crops are cut: ``auto`` is on a GPU whose memory has room for the clips."""
    if store == "device" or (store == "auto" and _fits(sampler, device)):
        return DeviceCrops(sampler, device).batch

    def batch(step: int, *, excerpts: bool = False) -> Float[Tensor, "batch samples"]:
        return torch.from_numpy(sampler.batch(step, excerpts=excerpts))

    return batch


def _fits(sampler: CropSampler, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sampler.store.samples.nbytes <= MEMORY_SHARE * free
