from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_run
import torch

from training.data.clips import TrainingData
from training.data.manifest import read_table
from training.errors import CheckpointError
from training.export.fingerprint import fingerprint
from training.export.parts import is_parts, load_model, load_parent, read_parts, write_parts
from training.pretraining.checkpoint import load_checkpoint
from training.pretraining.pretrain import pretrain

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("parts")
    return TrainingData(tiny_run.write_sounds(folder / "sounds", 5), folder / "cache")


@pytest.fixture
def checkpoint(data: TrainingData, tmp_path: Path) -> Path:
    return pretrain(tiny_run.recipe(), data, tmp_path / "run", stop_after=1)


def test_the_joined_parts_are_the_encoder_of_the_checkpoint(
    checkpoint: Path, tmp_path: Path
) -> None:
    files = write_parts(checkpoint, tmp_path / "out", part_bytes=100_000)
    parts = [path for path in files if path.suffix == ".part"]
    assert len(parts) > 2
    assert all(path.stat().st_size <= 100_000 for path in parts)
    model, expected = load_model(read_parts(tmp_path / "out")), load_checkpoint(checkpoint)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, expected["online"][f"encoder.{name}"]), name
    assert float(model.mean) == expected["statistics"]["mean"]
    content = read_parts(tmp_path / "out")
    assert not {"optimiser", "target", "banks"} & set(content)
    assert all(name.startswith("encoder.") for name in content["online"])
    names = {row["path"] for row in read_table(tmp_path / "out" / "ATTRIBUTION.csv")}
    assert names == {f"sound{i:02}.wav" for i in range(5)}


def test_a_run_starts_from_parts_and_counts_their_samples(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    write_parts(checkpoint, tmp_path / "out")
    still = tiny_run.recipe(optim={"learning_rate": 1e-12})
    further = pretrain(still, data, tmp_path / "more", init=tmp_path / "out", stop_after=1)
    progress = load_checkpoint(further)["progress"]
    parent = load_parent(tmp_path / "out")
    assert progress["parent"] == parent.fingerprint == fingerprint(parent.model)
    assert progress["parent_samples"] == 4
    before = load_checkpoint(checkpoint)["online"]["encoder.linear1.weight"]
    torch.testing.assert_close(load_checkpoint(further)["online"]["encoder.linear1.weight"], before)
    assert (tmp_path / "more" / "parent-attribution.csv").is_file()


def test_damage_is_found(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_parts(checkpoint, out, part_bytes=200_000)
    part = out / "encoder-01.part"
    content = bytearray(part.read_bytes())
    content[1234] ^= 1
    part.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"encoder-01\.part has another hash"):
        read_parts(out)
    part.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        read_parts(out)
    (out / "encoder.json").write_text(json.dumps({"format": 9, "parts": {}}))
    with pytest.raises(CheckpointError, match="has format 9"):
        read_parts(out)


def test_a_folder_of_something_else_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert not is_parts(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="holds no encoder"):
        write_parts(checkpoint, tmp_path / "mine")
