from __future__ import annotations

import re
from pathlib import Path

import pytest

from training.export import provenance


def test_the_commit_is_a_hash_or_unknown() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}\+?|unknown", provenance.git_commit())


def test_the_commit_is_unknown_outside_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.git_commit() == "unknown"


def test_the_commit_is_unknown_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.git_commit() == "unknown"
