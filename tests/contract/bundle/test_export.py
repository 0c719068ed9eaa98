"""The bundle that an export writes, and the cases in which it writes none."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import soundfile
import tiny_bundle
import tiny_run
import torch

from service.bundle import files as bundle
from service.bundle.files import Bundle
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.data.manifest import read_table
from training.errors import CheckpointError, DatasetError, ExportParityError
from training.export import export as module
from training.export.export import export
from training.export.fingerprint import fingerprint
from training.export.graph import check_parity
from training.export.load import load_bundle
from training.export.parts import write_parts
from training.model.model import EmbeddingModel
from training.pretraining.pretrain import pretrain

pytestmark = pytest.mark.timeout(600)

# Of the largest value of the embedding.
PARITY = 1e-4
SEEN, FILES = 8, 24  # of the run in the fixtures


def test_the_service_opens_the_bundle_and_its_known_answer_is_right(
    encoder: Encoder, exported: Bundle
) -> None:
    encoder.check(exported)
    assert (encoder.dim, encoder.sample_rate) == (3072, 16_000)
    assert encoder.fingerprint == exported.manifest.encoder.fingerprint


def test_the_manifest_describes_the_training_and_lists_every_file(
    exported: Bundle, checkpoint: Path
) -> None:
    manifest = exported.manifest
    assert manifest.id == "tiny"
    assert {path.name for path in exported.path.iterdir()} == {"bundle.json", *manifest.files}
    assert {"encoder.onnx", "MODEL_CARD.md", "ATTRIBUTION.csv", "metrics.jsonl"} < set(
        manifest.files
    )
    assert sum(entry.size_bytes for entry in manifest.files.values()) < 30e6
    content = torch.load(checkpoint, weights_only=True)
    assert manifest.training.recipe == content["recipe"]
    assert manifest.training.samples_seen == SEEN
    assert manifest.training.precision == "float32"
    assert manifest.training.parent is None
    assert manifest.encoder.block_samples == 640
    assert manifest.encoder.context_frames <= manifest.encoder.partial_frames == 5
    (data,) = manifest.training.data
    assert data.clips + int(manifest.scores["held_out_clips"]) == FILES
    assert json.loads((exported.path / "bundle.json").read_text())["schema_version"] == 3


def test_the_mean_is_that_of_the_training_clips(exported: Bundle, encoder: Encoder) -> None:
    trained = [row for row in attribution(exported) if row["role"] == "trained"]
    sounds = exported.path.parent.parent / "sounds"
    clips = [soundfile.read(sounds / row["path"], dtype="float32")[0] for row in trained]
    expected = encoder.embed(clips).mean(axis=0)
    # Training keeps 16-bit samples, as the files do, scaled by one step less.
    assert np.abs(exported.mean - expected).max() < 1e-3 * expected.max()


def test_the_weight_is_chosen_on_held_out_pairs(exported: Bundle) -> None:
    manifest = exported.manifest
    assert int(manifest.scores["held_out_clips"]) >= 10
    assert manifest.scores["held_out_pairs"] == 4 * int(manifest.scores["held_out_clips"])
    ranks = [float(manifest.scores[f"rank_{name}"]) for name in ("0", "w", "1")]
    assert 0 < max(ranks) == ranks[1] <= 1
    assert 0 <= manifest.difference.reference_weight <= 1
    assert float(manifest.scores["parity_with_torch"]) <= PARITY


def attribution(exported: Bundle) -> list[dict[str, str]]:
    with exported.file("ATTRIBUTION.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_card_and_attribution_name_the_training_data(exported: Bundle) -> None:
    card = exported.file("MODEL_CARD.md").read_text()
    manifest = exported.manifest
    for fact in (
        *(manifest.id, manifest.encoder.fingerprint, manifest.training.recipe_sha256),
        *(f"**{SEEN} samples**", "--recipe tiny", "not good for", "losses.png"),
    ):
        assert fact in card
    assert exported.file("losses.png").read_bytes().startswith(b"\x89PNG")
    rows = attribution(exported)
    assert {row["path"] for row in rows} == {f"sound{i:02}.wav" for i in range(FILES)}
    assert {row["role"] for row in rows} == {"trained", "held out"}
    assert {row["corpus"] for row in rows} == {"sounds"}


def test_the_torch_encoder_is_loaded_with_its_fingerprint(
    exported: Bundle, checkpoint: Path
) -> None:
    loaded = load_bundle(exported.path)
    content = torch.load(checkpoint, weights_only=True)
    for name, value in loaded.model.encoder.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, content["online"][f"encoder.{name}"]), name
    assert float(loaded.model.mean) == pytest.approx(content["statistics"]["mean"])
    assert not loaded.model.training
    assert loaded.manifest == exported.manifest
    assert fingerprint(loaded.model) == exported.manifest.encoder.fingerprint


def test_a_bundle_of_another_network_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not hold this encoder"):
        load_bundle(tiny_bundle.write(tmp_path / "tiny"))


def test_a_run_that_starts_from_a_bundle_exports_the_data_of_both(
    exported: Bundle, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first step its encoder is the bundle's, and so is the fingerprint."""
    monkeypatch.setattr("training.pretraining.heads.HIDDEN", 48)
    origin = torch.load(checkpoint, weights_only=True)["origin"]
    data = TrainingData(Path(origin["data"]), Path(origin["cache"]))
    recipe = tiny_run.recipe(data={"held_out": 0.9})
    started = pretrain(recipe, data, tmp_path / "run", init=exported.path, stop_after=0)
    content = torch.load(started, weights_only=True)
    content["progress"]["samples_seen"] = 1_000
    torch.save(content, started)
    again = bundle.load_bundle(export(started, tmp_path / "again", kinds=()))
    parent = exported.manifest.encoder.fingerprint
    assert again.manifest.encoder.fingerprint == parent
    assert again.manifest.training.parent == parent
    assert again.manifest.training.samples_seen == 1_000 + SEEN
    assert f"going on from the encoder `{parent}`" in again.file("MODEL_CARD.md").read_text()
    # Clips that the parent was trained on stay so, although more are held out now.
    before, after = (
        {row["path"] for row in attribution(each) if row["role"] == "trained"}
        for each in (exported, again)
    )
    assert before <= after
    Encoder.open(again, device="cpu").check(again)


def test_the_parity_check_refuses_the_graph_of_another_model(
    encoder: Encoder, model: EmbeddingModel
) -> None:
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.encoder.linear2.bias[7] += 0.05
    with pytest.raises(ExportParityError, match=r"deviates .* of the largest value at \d+ samples"):
        check_parity(changed, encoder)


def test_a_graph_that_differs_is_not_written_as_a_bundle(
    exported: Bundle, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(_: EmbeddingModel, path: Path) -> None:
        graph = onnx.load(str(exported.file("encoder.onnx")))
        (norm,) = (i for i in graph.graph.initializer if i.name == "encoder.norm2.running_mean")
        norm.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(norm) + 0.01, norm.name)
        )
        onnx.save(graph, str(path))

    monkeypatch.setattr(module, "write_graph", write_another)
    with pytest.raises(ExportParityError):
        export(checkpoint, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_bundle_is_never_replaced(checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "thesis.txt"
    other.write_text("years of work")
    with pytest.raises(BundleError, match="holds no bundle"):
        export(checkpoint, tmp_path)
    assert other.read_text() == "years of work"


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        export(tmp_path / "checkpoint.pt", tmp_path / "bundle")


def test_data_that_is_gone_is_named(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    origin = content["origin"] | {"data": "/nowhere"}
    torch.save({"recipe": content["recipe"], "origin": origin}, tmp_path / "c.pt")
    with pytest.raises(DatasetError, match="/nowhere is neither a folder nor a manifest"):
        export(tmp_path / "c.pt", tmp_path / "bundle")


def test_a_name_that_is_no_id_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot name a bundle"):
        export(tmp_path / "no-such-checkpoint.pt", tmp_path / "my bundle")


def test_an_encoder_in_parts_exports_where_its_data_is_now(
    checkpoint: Path, exported: Bundle, export_folder: Path, tmp_path: Path
) -> None:
    """The folder of the run's data has moved; clips, weights and attribution are the same."""
    parts, moved = tmp_path / "parts", tmp_path / "moved"
    write_parts(checkpoint, parts)
    shutil.copytree(export_folder / "sounds", moved)
    data = TrainingData(moved, tmp_path / "cache")
    again = bundle.load_bundle(export(parts, tmp_path / "again", data=data, kinds=()))
    assert again.manifest.encoder.fingerprint == exported.manifest.encoder.fingerprint
    assert again.manifest.training.samples_seen == exported.manifest.training.samples_seen
    assert again.manifest.difference == exported.manifest.difference
    rows = [
        {row["path"]: row["role"] for row in read_table(folder / "ATTRIBUTION.csv")}
        for folder in (again.path, exported.path)
    ]
    assert rows[0] == rows[1]
