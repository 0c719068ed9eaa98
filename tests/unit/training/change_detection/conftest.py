from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bundle
import tiny_excerpts

from training.change_detection.dataset import DetectionDataset, build_dataset
from training.evaluation.encoders import open_embedder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a small corpus."""
    return tiny_excerpts.write(tmp_path_factory.mktemp("excerpts"))


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose encoder embeds it."""
    return tiny_bundle.write(tmp_path_factory.mktemp("excerpts-bundle") / "tiny")


@pytest.fixture(scope="session")
def dataset(
    corpus: Path, bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> DetectionDataset:
    embedder = open_embedder(str(bundle_path), threads=1)
    return build_dataset(corpus, embedder, tmp_path_factory.mktemp("excerpts-cache"))
