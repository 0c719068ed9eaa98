"""What the tests of training share."""

from __future__ import annotations

import pytest


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hidden layers narrow: fast, and nothing that is tested depends on their width."""
    monkeypatch.setattr("training.heads.HIDDEN", 48)
    monkeypatch.setattr("training.encoder.HIDDEN", 48)
