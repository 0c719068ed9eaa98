from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import tiny_pairs
import tiny_text
import torch

from service.bundle.files import Bundle, load_bundle
from service.errors import BundleError
from service.inference.encoder import Encoder
from service.inference.towers import Towers
from training.cli.export import export as command
from training.errors import CheckpointError, ExportParityError
from training.scenes.load import SceneSet
from training.towers.evaluation.projector import TowerProjector
from training.towers.export import export as module
from training.towers.export import graphs
from training.towers.export.export import ExportInputs, export_towers
from training.towers.export.fingerprint import towers_fingerprint
from training.towers.run import LoadedTowers, load_towers, train_retrieval
from training.towers.text_cache import TextCache

ROUNDING = 1e-4


@pytest.fixture(scope="module", autouse=True)
def graphs_once() -> Iterator[None]:
    """Export each graph once: it takes seconds, and every test here exports the same graphs."""
    written: dict[str, bytes] = {}

    def once(write: Callable[..., None]) -> Callable[..., None]:
        def write_once(model: torch.nn.Module, path: Path, *rest: int) -> None:
            if write.__name__ not in written:
                write(model, path, *rest)
                written[write.__name__] = path.read_bytes()
            path.write_bytes(written[write.__name__])

        return write_once

    with pytest.MonkeyPatch.context() as patch:
        for write in (graphs.write_audio_graph, graphs.write_text_graph):
            patch.setattr(module, write.__name__, once(write))
        yield


@pytest.fixture(scope="module")
def inputs(
    loaded: LoadedTowers,
    cache: TextCache,
    scene_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ExportInputs:
    folder = tmp_path_factory.mktemp("data")
    data = tiny_pairs.write_manifest(folder / "manifest.csv", loaded.sources)
    return ExportInputs(data=data, scenes=scene_folder, cache=cache)


@pytest.fixture(scope="module")
def exported(
    bundle: Bundle, checkpoint: Path, inputs: ExportInputs, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    out = tmp_path_factory.mktemp("models") / "tiny"
    shutil.copytree(bundle.path, out)
    (out / "MODEL_CARD.md").write_text("# Model card: tiny\n")
    (out / "ATTRIBUTION.csv").write_text(
        "path,corpus,licence,role\nesc50/dog-0.wav,esc50,CC0,trained\n"
    )
    return load_bundle(export_towers(checkpoint, out, inputs))


def test_the_service_opens_the_towers_and_their_known_answer_is_right(exported: Bundle) -> None:
    towers = Towers.open(exported, device="cpu")
    assert towers is not None
    towers.check(exported)
    Encoder.open(exported, device="cpu").check(exported)


def test_the_served_towers_are_those_that_were_trained(
    exported: Bundle, loaded: LoadedTowers, cache: TextCache, scenes: SceneSet
) -> None:
    towers = Towers.open(exported, device="cpu")
    assert towers is not None
    projector = TowerProjector(loaded.networks, cache)
    embeddings = scenes.query.astype(np.float32)
    deviation = towers.audio.vectors(embeddings) - projector.project_audio(embeddings)
    assert np.abs(deviation).max() < ROUNDING
    encoded = towers.text.encode("add a dog")
    assert encoded is not None
    expected = projector.project_texts(["add a dog"])[0]
    cosine = encoded.vector @ expected / np.linalg.norm(encoded.vector) / np.linalg.norm(expected)
    assert cosine > 0.999


def test_the_manifest_records_the_origin_of_the_towers(
    exported: Bundle, loaded: LoadedTowers, bundle: Bundle
) -> None:
    info = exported.manifest.towers
    assert info is not None
    assert info.fingerprint == towers_fingerprint(loaded)
    assert (info.dim, info.max_tokens) == (16, 32)
    assert info.training.recipe == loaded.recipe.to_dict()
    assert info.training.pairs == loaded.pairs
    assert {source.corpus for source in info.training.data} == {"esc50", "bg"}
    assert float(info.scores["audio_parity_with_torch"]) <= ROUNDING
    assert float(info.scores[f"{info.text_precision}_cosine"]) >= 0.999
    assert {path.name for path in exported.path.iterdir()} == {
        "bundle.json",
        *exported.manifest.files,
    }
    assert exported.manifest.encoder == bundle.manifest.encoder


def test_card_and_attribution_name_the_clips_of_the_training(
    exported: Bundle, loaded: LoadedTowers
) -> None:
    card = exported.file("MODEL_CARD.md").read_text()
    for fact in (
        "# Model card: tiny",
        "## The towers",
        towers_fingerprint(loaded),
        "CC0",
        "ESC-50",
    ):
        assert fact in card
    with exported.file("ATTRIBUTION.csv").open(newline="") as lines:
        roles = {row["path"]: row["role"] for row in csv.DictReader(lines)}
    assert set(roles) == set(loaded.sources)
    assert roles.pop("esc50/dog-0.wav") == "trained"
    assert set(roles.values()) == {"towers"}


def test_exporting_again_replaces_the_towers(
    exported: Bundle, checkpoint: Path, inputs: ExportInputs, tmp_path: Path
) -> None:
    shutil.copytree(exported.path, tmp_path / "tiny")
    again = load_bundle(export_towers(checkpoint, tmp_path / "tiny", inputs))
    assert again.manifest.towers == exported.manifest.towers
    assert again.file("MODEL_CARD.md").read_text().count("## The towers") == 1


def test_towers_of_another_encoder_are_refused(
    checkpoint: Path, inputs: ExportInputs, tmp_path: Path
) -> None:
    other = tiny_bundle.write(tmp_path / "other", seed=3, dim=tiny_pairs.DIM)
    before = sorted(path.name for path in other.iterdir())
    with pytest.raises(BundleError, match="were trained on the encoder"):
        export_towers(checkpoint, other, inputs)
    assert sorted(path.name for path in other.iterdir()) == before


def test_a_trained_difference_is_exported_and_served(
    bundle: Bundle,
    scene_folder: Path,
    inputs: ExportInputs,
    scenes: SceneSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Towers without one then replace it."""
    network = {"difference": "trained", "unit": "both", "fit_strength": True}
    recipe = tiny_pairs.recipe(network=network, references={"other_recordings": 0.5, "most": 2})
    # Other weights: no graph of before can be used.
    for name in ("write_audio_graph", "write_text_graph"):
        monkeypatch.setattr(module, name, getattr(graphs, name))
    trained = train_retrieval(recipe, scene_folder, bundle, tmp_path / "run", inputs.cache)
    shutil.copytree(bundle.path, tmp_path / "tiny")
    (tmp_path / "tiny" / "MODEL_CARD.md").write_text("# Model card: tiny\n")
    found = load_bundle(export_towers(trained, tmp_path / "tiny", inputs))
    towers, model = Towers.open(found, device="cpu"), load_towers(trained).networks
    assert towers is not None
    towers.check(found)
    weight = found.manifest.difference.reference_weight
    mixtures, references = (np.asarray(x[:8], np.float32) for x in (scenes.target, scenes.query))
    projector = TowerProjector(model, inputs.cache)
    expected = projector.project_differences(mixtures, references, found.mean, weight)
    pairs = list(zip(mixtures, references, strict=True))
    served = [towers.audio.difference(*pair, weight) for pair in pairs]
    assert np.abs(served - expected).max() < ROUNDING
    plain = [towers.audio.difference(*pair, 0.0) for pair in pairs]
    assert np.abs(plain - projector.project_audio(mixtures)).max() < ROUNDING
    encoded = towers.text.encode("add a dog")
    assert encoded is not None
    assert np.linalg.norm(encoded.vector) == pytest.approx(model.text.length, rel=1e-3)


def test_another_text_encoder_is_refused(
    checkpoint: Path, inputs: ExportInputs, bundle: Bundle, loaded: LoadedTowers, tmp_path: Path
) -> None:
    folder = tiny_text.write(tmp_path / "text", seed=1)
    text = loaded.recipe.text.model_copy(update={"folder": folder})
    other = ExportInputs(
        data=inputs.data, scenes=inputs.scenes, cache=TextCache(tmp_path / "texts", text)
    )
    with pytest.raises(CheckpointError, match="another text encoder"):
        export_towers(checkpoint, bundle.path, other)


def test_a_graph_that_differs_leaves_the_bundle_as_it_was(
    bundle: Bundle,
    checkpoint: Path,
    inputs: ExportInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_another(tower: torch.nn.Module, path: Path) -> None:
        with torch.no_grad():
            changed = torch.nn.utils.parameters_to_vector(tower.parameters()) * 1.1
            torch.nn.utils.vector_to_parameters(changed, tower.parameters())
        write(tower, path)
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(changed / 1.1, tower.parameters())

    write = graphs.write_audio_graph
    monkeypatch.setattr(module, "write_audio_graph", write_another)
    shutil.copytree(bundle.path, tmp_path / "tiny")
    with pytest.raises(ExportParityError, match="audio tower deviates"):
        export_towers(checkpoint, tmp_path / "tiny", inputs)
    assert load_bundle(tmp_path / "tiny").manifest == bundle.manifest


def test_towers_that_are_too_large_are_refused(
    bundle: Bundle,
    checkpoint: Path,
    inputs: ExportInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    shutil.copytree(bundle.path, tmp_path / "tiny")
    with pytest.raises(BundleError, match="files of the towers have"):
        export_towers(checkpoint, tmp_path / "tiny", inputs)


def test_the_command_requires_data_and_scenes_for_towers(checkpoint: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(command, [str(checkpoint), "--out", str(tmp_path / "b")])
    assert result.exit_code == 2
    assert "--data and --scenes" in result.output
