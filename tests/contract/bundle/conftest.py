"""A run of two steps and the bundle exported from it, made once for all tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_run

from service.bundle import files as bundle
from service.bundle.files import Bundle
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.export.export import export
from training.export.load import load_bundle
from training.model.model import EmbeddingModel
from training.pretraining.pretrain import pretrain


@pytest.fixture(scope="session")
def export_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is deleted at the end, since a checkpoint is large."""
    folder = tmp_path_factory.mktemp("export")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def checkpoint(export_folder: Path) -> Path:
    """A run of two steps on synthetic sounds, half of them held out."""
    recipe = tiny_run.recipe(
        data={"held_out": 0.5}, optim={"batch_size": 4}, loss={"symmetric": False}
    )
    data = TrainingData(
        tiny_run.write_sounds(export_folder / "sounds", 24), export_folder / "cache"
    )
    with pytest.MonkeyPatch.context() as patch:
        # The heads are not exported, so they may be narrow.
        patch.setattr("training.pretraining.heads.HIDDEN", 48)
        return pretrain(recipe, data, export_folder / "run", stop_after=2)


@pytest.fixture(scope="session")
def exported(checkpoint: Path, export_folder: Path) -> Bundle:
    return bundle.load_bundle(export(checkpoint, export_folder / "models" / "tiny", kinds=()))


@pytest.fixture(scope="session")
def model(exported: Bundle) -> EmbeddingModel:
    return load_bundle(exported.path).model


@pytest.fixture(scope="session")
def encoder(exported: Bundle) -> Encoder:
    return Encoder.open(exported, device="cpu")
