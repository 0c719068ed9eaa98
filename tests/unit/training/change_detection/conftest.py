from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bundle
import tiny_takes

from training.change_detection.collection import Collection, collect
from training.evaluation.encoders import open_embedder


@pytest.fixture(scope="session")
def takes_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a small corpus."""
    return tiny_takes.write(tmp_path_factory.mktemp("takes"))


@pytest.fixture(scope="session")
def takes_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose encoder embeds it."""
    return tiny_bundle.write(tmp_path_factory.mktemp("takes-bundle") / "tiny")


@pytest.fixture(scope="session")
def collection(
    takes_corpus: Path, takes_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Collection:
    embedder = open_embedder(str(takes_bundle), threads=1)
    return collect(takes_corpus, embedder, tmp_path_factory.mktemp("takes-cache"))
