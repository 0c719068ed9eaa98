"""Fixtures shared by the tests of training."""

from __future__ import annotations

from functools import partial

import pytest

from training.evaluation import measure
from training.evaluation.probe import ProbeSettings


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hidden layers narrow: fast, and nothing that is tested depends on their width."""
    monkeypatch.setattr("training.pretraining.heads.HIDDEN", 48)
    monkeypatch.setattr("training.model.encoder.HIDDEN", 48)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train classifiers for two epochs: enough where what they learn does not matter."""
    monkeypatch.setattr(measure, "ProbeSettings", partial(ProbeSettings, epochs=2))
