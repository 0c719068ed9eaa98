"""Fixtures of the tests of the towers: small scenes, a small text encoder, trained towers."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bundle
import tiny_pairs
import tiny_text

from service.bundle.files import Bundle, load_bundle
from training.scenes.load import SceneSet
from training.towers.data import TowerData, build_tower_data
from training.towers.recipe import TowersRecipe
from training.towers.run import LoadedTowers, load_towers, train_retrieval
from training.towers.text_cache import TextCache
from training.towers.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def recipe() -> TowersRecipe:
    """A few epochs with every loss."""
    return tiny_pairs.recipe()


@pytest.fixture(scope="session")
def scenes() -> SceneSet:
    return tiny_pairs.make()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose encoder has as many values as the scenes; do not write into it."""
    folder = tmp_path_factory.mktemp("towers") / "tiny"
    return load_bundle(tiny_bundle.write(folder, dim=tiny_pairs.DIM))


@pytest.fixture(scope="session")
def vocabulary(scenes: SceneSet) -> Vocabulary:
    return Vocabulary.of(scenes)


@pytest.fixture(scope="session")
def data(
    scenes: SceneSet, vocabulary: Vocabulary, bundle: Bundle, recipe: TowersRecipe
) -> TowerData:
    return build_tower_data(scenes, vocabulary, tiny_pairs.WordVectors(), recipe, bundle)


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text.write(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def cache(
    text_folder: Path, tmp_path_factory: pytest.TempPathFactory, recipe: TowersRecipe
) -> TextCache:
    """The cache of the small text encoder."""
    text = recipe.text.model_copy(update={"folder": text_folder})
    return TextCache(tmp_path_factory.mktemp("texts"), text)


@pytest.fixture(scope="session")
def scene_folder(
    scenes: SceneSet, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "train"
    return tiny_pairs.write(folder, scenes, bundle.manifest.encoder.fingerprint)


@pytest.fixture(scope="session")
def checkpoint(
    recipe: TowersRecipe,
    scene_folder: Path,
    bundle: Bundle,
    cache: TextCache,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return train_retrieval(recipe, scene_folder, bundle, tmp_path_factory.mktemp("run"), cache)


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> LoadedTowers:
    return load_towers(checkpoint)
