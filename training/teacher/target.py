"""Targets of distillation: standardised embeddings and scores of the teacher."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.teacher.files import N_CLASSES
from training.teacher.yamnet import DIM, HOP_SAMPLES, PATCH_SAMPLES, TeacherOutput, Yamnet

RAREST = 1e-6  # smallest mean score that a prior is made from


class Taught(NamedTuple):
    """Targets of a batch of crops.

    Attributes:
        embedding: The teacher's embeddings, standardised.
        scores: The teacher's scores, 0 to 1.
        prior: Log-odds of the mean scores over the first crops of training.
    """

    embedding: Float[Tensor, "batch 1024"]
    scores: Float[Tensor, "batch 521"]
    prior: Float[Tensor, " 521"]


class TeacherTarget(nn.Module):
    """The teacher's embeddings, with mean 0 and standard deviation 1 in each dimension, and scores.

    Without that, all directions are nearly the same, since the embeddings are not negative. For a
    crop that is longer than a patch of the teacher, both are means over its patches; zeros complete
    the last one.

    Args:
        teacher: The teacher, frozen.
    """

    mean: Tensor
    std: Tensor
    scores: Tensor

    def __init__(self, teacher: Yamnet) -> None:
        super().__init__()
        self.teacher = teacher
        self.register_buffer("mean", torch.zeros(DIM))
        self.register_buffer("std", torch.ones(DIM))
        self.register_buffer("scores", torch.full((N_CLASSES,), 0.5))

    @torch.no_grad()
    def fit_statistics(self, waveforms: Iterable[Float[Tensor, "batch samples"]]) -> None:
        """Set mean and standard deviation, and the mean scores, to those of some waveforms.

        A dimension that is the same for all of them stays 0 in every target.
        """
        count, total, squares = 0, torch.zeros(DIM).double(), torch.zeros(DIM).double()
        scores = torch.zeros(N_CLASSES).double()
        for waveform in waveforms:
            output = self._teach(waveform)
            embedding = output.embedding.double().cpu()
            scores += output.scores.double().sum(dim=0).cpu()
            count += len(embedding)
            total += embedding.sum(dim=0)
            squares += embedding.square().sum(dim=0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0.0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(variance > 0, variance.sqrt(), torch.inf))
        self.scores.copy_(scores / count)

    def statistics(self) -> dict[str, Tensor]:
        """Return mean, standard deviation and mean scores, for a checkpoint."""
        return {name: getattr(self, name).cpu() for name in ("mean", "std", "scores")}

    @torch.no_grad()
    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Taught:
        """Compute the targets of a batch of crops."""
        output = self._teach(waveform)
        prior = self.scores.logit(eps=RAREST)
        return Taught((output.embedding - self.mean) / self.std, output.scores, prior)

    def _teach(self, waveform: Float[Tensor, "batch samples"]) -> TeacherOutput:
        """Run the teacher on crops that zeros extend to whole patches."""
        missing = (PATCH_SAMPLES - waveform.shape[1]) % HOP_SAMPLES
        output: TeacherOutput = self.teacher(nn.functional.pad(waveform, (0, missing)))
        return output
