"""Fixtures of the tests of scenes."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_scene


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a small corpus; do not write into its folder."""
    return tiny_scene.write(tmp_path_factory.mktemp("corpus"))
