from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import synth
import torch

from service.bundle import files as bundle
from service.bundle.files import Bundle, load_bundle
from service.bundle.manifest import GEOMETRY
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.export import renew as module
from training.export.renew import renew_documents, renew_variants, rewrite_graph
from training.model.model import EmbeddingModel


@pytest.fixture
def copy(exported: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.path, tmp_path / "copy"))


def test_a_bundle_gets_its_variants_and_is_otherwise_unchanged(
    copy: Path, exported: Bundle, checkpoint: Path
) -> None:
    origin = torch.load(checkpoint, weights_only=True)["origin"]
    scores = exported.manifest.scores | {"parity_with_torch": 1.5e-6}
    bundle.write_manifest(copy, exported.manifest.model_copy(update={"scores": scores}))
    outcomes = renew_variants(copy, TrainingData(Path(origin["data"]), Path(origin["cache"])))
    renewed = load_bundle(copy)
    shipped = {outcome.variant.precision for outcome in outcomes if not outcome.faults}
    assert shipped == {"int8", "float16"}
    assert {variant.precision for variant in renewed.manifest.encoder.variants} == shipped
    assert renewed.manifest.difference == exported.manifest.difference
    assert renewed.encoder_file.read_bytes() == exported.encoder_file.read_bytes()
    card = renewed.file("MODEL_CARD.md").read_text()
    assert "at most 1.5e-06" in card, "the card shows the figures of the manifest"
    assert "| int8 | " in card
    assert "| float16 | " in card
    assert list(copy.parent.iterdir()) == [copy]


def test_a_rewritten_graph_computes_the_same(
    copy: Path, exported: Bundle, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another exporter, which gives the nodes other names."""

    def write_renamed(_: EmbeddingModel, path: Path) -> None:
        graph = onnx.load(str(exported.encoder_file))
        for node in graph.graph.node:
            node.name = f"renamed_{node.name}"
        onnx.save(graph, str(path))

    monkeypatch.setattr(module, "write_graph", write_renamed)
    rewrite_graph(copy)
    rewritten = load_bundle(copy)
    assert rewritten.encoder_file.read_bytes() != exported.encoder_file.read_bytes()
    assert rewritten.manifest.encoder == exported.manifest.encoder
    sound = [synth.chirp(100, 7000, 1.5)]
    found = Encoder.open(rewritten, device="cpu").embed(sound)
    np.testing.assert_allclose(found, encoder.embed(sound), rtol=0, atol=1e-5)


def test_weights_of_another_fingerprint_are_refused(copy: Path, exported: Bundle) -> None:
    encoder = exported.manifest.encoder.model_copy(update={"fingerprint": "0" * 64})
    bundle.write_manifest(copy, exported.manifest.model_copy(update={"encoder": encoder}))
    with pytest.raises(BundleError, match="the same weights have another fingerprint here"):
        rewrite_graph(copy)


def test_a_bundle_of_format_1_is_brought_to_the_present_format(copy: Path) -> None:
    path = copy / "bundle.json"
    present = path.read_bytes()
    content = json.loads(present)
    content["schema_version"] = 1
    del content["manifest_sha256"]
    for name in GEOMETRY:
        del content["encoder"][name]
    path.write_text(json.dumps(content))
    renew_documents(copy)
    assert path.read_bytes() == present
    renew_documents(copy)
    assert path.read_bytes() == present


def test_the_card_of_a_renewed_bundle_shows_the_figures_of_its_manifest(
    copy: Path, exported: Bundle
) -> None:
    scores = exported.manifest.scores | {"parity_with_torch": 2.5e-6}
    bundle.write_manifest(copy, exported.manifest.model_copy(update={"scores": scores}))

    renew_documents(copy)

    assert "at most 2.5e-06" in load_bundle(copy).file("MODEL_CARD.md").read_text()
