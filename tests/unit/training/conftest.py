"""Fixtures shared by the tests of training."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from training.evaluation import measure
from training.evaluation.probe import ProbeSettings
from training.teacher.yamnet import TeacherOutput


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hidden layers narrow: fast, and nothing that is tested depends on their width."""
    monkeypatch.setattr("training.pretraining.heads.HIDDEN", 48)
    monkeypatch.setattr("training.model.encoder.HIDDEN", 48)


class PooledTeacher(nn.Module):
    """Stands in for the teacher, whose files are not needed then: a fixed projection of power."""

    def __init__(self, files: object) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.register_buffer("matrix", torch.randn(100, 1024, generator=generator))

    def forward(self, waveform: Tensor) -> TeacherOutput:
        patch = nn.functional.pad(waveform, (0, 15_200))[:, :15_200]
        power = patch.reshape(len(waveform), 100, -1).square().mean(dim=2)
        embedding = (power.to(self.matrix) @ self.matrix).relu()
        return TeacherOutput(embedding, embedding[:, :521].tanh())


@pytest.fixture
def any_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train with a teacher without its files."""
    monkeypatch.setattr("training.pretraining.run.find_teacher", lambda: None)
    monkeypatch.setattr("training.pretraining.run.Yamnet", PooledTeacher)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train classifiers for two epochs: enough where what they learn does not matter."""
    monkeypatch.setattr(measure, "ProbeSettings", partial(ProbeSettings, epochs=2))
