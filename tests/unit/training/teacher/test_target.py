from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from training.teacher import target
from training.teacher.files import N_CLASSES
from training.teacher.target import TeacherTarget
from training.teacher.yamnet import DIM


class Output(NamedTuple):
    embedding: Tensor
    scores: Tensor


class Repeating(nn.Module):
    """A teacher of short patches whose embedding repeats the samples; its first one is constant."""

    def forward(self, waveform: Tensor) -> Output:
        embedding = waveform.repeat(1, DIM)[:, :DIM].clone()
        embedding[:, 0] = 7.0
        return Output(embedding, embedding[:, :N_CLASSES].sigmoid())


@pytest.fixture(autouse=True)
def _short_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "PATCH_SAMPLES", 4)
    monkeypatch.setattr(target, "HOP_SAMPLES", 2)


def test_targets_have_mean_0_and_standard_deviation_1() -> None:
    batches = [
        3 + 2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)
    ]
    fitted = TeacherTarget(Repeating())
    fitted.fit_statistics(batches)
    targets = fitted(torch.cat(batches)).embedding.double()
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
    for found, expected in zip(second(sound), first(sound), strict=True):
        assert torch.equal(found, expected)


def test_the_statistics_of_an_older_checkpoint_have_no_scores() -> None:
    first, second = (TeacherTarget(Repeating()) for _ in range(2))
    first.fit_statistics([torch.randn(9, 4)])
    older = {name: first.statistics()[name] for name in ("mean", "std")}
    second.load_state_dict(older, strict=False)
    sound = torch.randn(2, 4)
    assert torch.equal(first(sound).embedding, second(sound).embedding)


def test_the_prior_is_the_log_odds_of_the_mean_scores() -> None:
    batches = [torch.randn(50, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    fitted = TeacherTarget(Repeating())
    fitted.fit_statistics(batches)
    outputs = [fitted(batch) for batch in batches]
    scores = torch.cat([output.scores for output in outputs]).double()
    mean = scores.mean(dim=0)
    expected = (mean / (1 - mean)).log()
    torch.testing.assert_close(outputs[0].prior.double(), expected, rtol=1e-4, atol=1e-5)
    assert outputs[0].prior.isfinite().all()


@pytest.mark.parametrize(("samples", "padded"), [(3, 4), (4, 4), (5, 6), (6, 6), (7, 8), (8, 8)])
def test_zeros_complete_the_last_patch(samples: int, padded: int) -> None:
    heard = []

    class Listening(Repeating):
        def forward(self, waveform: Tensor) -> Output:
            heard.append(waveform)
            return super().forward(waveform)

    TeacherTarget(Listening())(torch.ones(1, samples))
    ((waveform,),) = heard
    assert waveform.tolist() == [1.0] * samples + [0.0] * (padded - samples)
