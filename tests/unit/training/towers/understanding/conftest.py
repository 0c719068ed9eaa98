"""Fixtures: a training of understanding with the small text encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.towers.recipe import TextRecipe
from training.towers.understanding.recipe import UnderstandingRecipe
from training.towers.understanding.run import (
    LoadedUnderstanding,
    load_understanding,
    train_understanding,
)
from training.towers.understanding.sounds import SoundNames


@pytest.fixture(scope="session")
def names() -> SoundNames:
    return SoundNames(
        ("dog", "rain", "rain on leaves", "church bell", "car", "sea"), ("cat", "old train")
    )


@pytest.fixture(scope="session")
def text_recipe(text_folder: Path) -> TextRecipe:
    return TextRecipe(folder=text_folder, weights_sha256=None, max_tokens=48)


@pytest.fixture(scope="session")
def small(text_recipe: TextRecipe) -> UnderstandingRecipe:
    return UnderstandingRecipe.model_validate(
        {
            "name": "small",
            "text": text_recipe.model_dump(),
            "tagger": {"requests": 60, "tests": 12, "epochs": 2, "batch_size": 16},
            "novelty": {"generated": 5, "known_flagged": 0.25},
        }
    )


@pytest.fixture(scope="session")
def understanding_checkpoint(
    small: UnderstandingRecipe, names: SoundNames, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("understanding")
    return train_understanding(small, names, folder / "run", folder / "cache")


@pytest.fixture(scope="session")
def understood(understanding_checkpoint: Path) -> LoadedUnderstanding:
    return load_understanding(understanding_checkpoint)
