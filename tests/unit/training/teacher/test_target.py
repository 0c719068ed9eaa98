from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.teacher.target import TeacherTarget
from training.teacher.yamnet import DIM


class Output(NamedTuple):
    embedding: Tensor


class Repeating(nn.Module):
    """A teacher whose embedding repeats the first samples; its first dimension is constant."""

    def forward(self, waveform: Tensor) -> Output:
        embedding = waveform.repeat(1, DIM // waveform.shape[1])
        embedding[:, 0] = 7.0
        return Output(embedding)


def test_targets_have_mean_0_and_standard_deviation_1() -> None:
    batches = [
        3 + 2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)
    ]
    target = TeacherTarget(Repeating())
    target.fit_statistics(batches)
    targets = target(torch.cat(batches)).double()
    assert torch.equal(targets[:, 0], torch.zeros(150).double())
    torch.testing.assert_close(
        targets[:, 1:].mean(dim=0), torch.zeros(DIM - 1).double(), rtol=0, atol=1e-5
    )
    spread = targets[:, 1:].std(dim=0, correction=0)
    torch.testing.assert_close(spread, torch.ones(DIM - 1).double(), rtol=1e-5, atol=0)


def test_a_checkpoint_keeps_the_statistics() -> None:
    first, second = (TeacherTarget(Repeating()) for _ in range(2))
    first.fit_statistics([torch.randn(9, 4)])
    second.load_state_dict(first.statistics(), strict=False)
    sound = torch.randn(2, 4)
    assert torch.equal(first(sound), second(sound))
