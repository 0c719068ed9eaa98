"""A bundle that is exported with understanding."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_pairs

from service.bundle.files import Bundle, load_bundle
from service.bundle.understanding import CompositionWeights
from service.inference.towers import Towers, describe_sounds
from training.errors import CheckpointError
from training.towers.export.export import KNOWN_TEXT, ExportInputs, export_towers
from training.towers.export.understanding import UnderstandingInputs, load_inputs
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.towers.understanding.recipe import UnderstandingRecipe
from training.towers.understanding.run import train_understanding
from training.towers.understanding.sounds import SoundNames

WEIGHTS = CompositionWeights(remove=-1.75)


@pytest.fixture(scope="module")
def understanding_checkpoint(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = SoundNames(("dog", "rain", "bell", "car", "sea"), ("cat", "train"))
    recipe = UnderstandingRecipe.model_validate(
        {
            "name": "small",
            "text": {"folder": text_folder, "weights_sha256": None, "max_tokens": 32},
            "tagger": {"requests": 40, "tests": 4, "epochs": 2},
            "novelty": {"generated": 3, "known_flagged": 0.25},
        }
    )
    folder = tmp_path_factory.mktemp("understanding")
    return train_understanding(recipe, names, folder / "run", folder / "cache")


@pytest.fixture(scope="module")
def inputs(
    loaded: LoadedTowers,
    cache: TextCache,
    scene_folder: Path,
    understanding_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ExportInputs:
    folder = tmp_path_factory.mktemp("data")
    weights = folder / "weights.json"
    weights.write_text(f'{{"weights": {WEIGHTS.model_dump_json()}, "scores": {{}}}}')
    return ExportInputs(
        data=tiny_pairs.write_manifest(folder / "manifest.csv", loaded.sources),
        scenes=scene_folder,
        cache=cache,
        understanding=load_inputs(understanding_checkpoint, weights),
    )


def copy(bundle: Bundle, folder: Path) -> Path:
    shutil.copytree(bundle.path, folder)
    (folder / "MODEL_CARD.md").write_text("# Model card: tiny\n")
    return folder


def test_an_exported_bundle_understands_as_it_was_trained(
    bundle: Bundle, checkpoint: Path, inputs: ExportInputs, tmp_path: Path
) -> None:
    exported = load_bundle(export_towers(checkpoint, copy(bundle, tmp_path / "out"), inputs))

    info = exported.manifest.towers
    assert info is not None
    assert info.understanding is not None
    assert inputs.understanding is not None
    loaded = inputs.understanding.loaded
    assert info.understanding.weights == WEIGHTS
    assert info.understanding.scores == loaded.scores
    assert info.understanding.novelty in exported.manifest.files
    assert float(info.scores[f"{info.text_precision}_same_sounds"]) >= 0.98
    towers = Towers.open(exported, device="cpu", threads=1)
    assert towers is not None
    towers.check(exported)
    encoded = towers.text.encode(KNOWN_TEXT)
    assert encoded is not None
    assert encoded.novelty is not None
    assert set(encoded.novelty.nearest) <= set(loaded.detector.phrases)
    assert all(": " in sound for sound in describe_sounds(encoded.sounds))


def test_understanding_of_another_text_encoder_is_refused(
    inputs: ExportInputs, bundle: Bundle, tmp_path: Path
) -> None:
    assert inputs.understanding is not None
    hashes = dict.fromkeys(inputs.understanding.loaded.text_encoder, "0" * 64)
    loaded = replace(inputs.understanding.loaded, text_encoder=hashes)
    other = UnderstandingInputs(loaded, WEIGHTS)
    with pytest.raises(CheckpointError, match="another text encoder"):
        other.write(Bundle(tmp_path, bundle.manifest), inputs.cache)


def test_a_file_without_weights_is_refused(understanding_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text('{"weights": {"shout": 1}}')
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_inputs(understanding_checkpoint, tmp_path / "weights.json")
