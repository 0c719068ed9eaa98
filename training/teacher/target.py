"""Targets of distillation: standardised embeddings of the teacher."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.teacher.yamnet import DIM, Yamnet


class TeacherTarget(nn.Module):
    """The teacher's embeddings, with mean 0 and standard deviation 1 in each dimension.

    Without that, all directions are nearly the same, since the embeddings are not negative.

    Args:
        teacher: The teacher, frozen.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, teacher: Yamnet) -> None:
        super().__init__()
        self.teacher = teacher
        self.register_buffer("mean", torch.zeros(DIM))
        self.register_buffer("std", torch.ones(DIM))

    @torch.no_grad()
    def fit_statistics(self, waveforms: Iterable[Float[Tensor, "batch samples"]]) -> None:
        """Set mean and standard deviation to those of some waveforms.

        A dimension that is the same for all of them stays 0 in every target.
        """
        count, total, squares = 0, torch.zeros(DIM).double(), torch.zeros(DIM).double()
        for waveform in waveforms:
            embedding = self.teacher(waveform).embedding.double().cpu()
            count += len(embedding)
            total += embedding.sum(dim=0)
            squares += embedding.square().sum(dim=0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0.0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(variance > 0, variance.sqrt(), torch.inf))

    def statistics(self) -> dict[str, Tensor]:
        """Return the mean and the standard deviation, for a checkpoint."""
        return {"mean": self.mean.cpu(), "std": self.std.cpu()}

    @torch.no_grad()
    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1024"]:
        """Compute the targets of a batch of crops."""
        targets: Tensor = (self.teacher(waveform).embedding - self.mean) / self.std
        return targets
