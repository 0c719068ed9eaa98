from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from training.errors import CheckpointError, RecipeError
from training.towers.understanding.recipe import (
    UnderstandingRecipe,
    load_understanding_recipe,
)
from training.towers.understanding.run import (
    LoadedUnderstanding,
    load_understanding,
    train_understanding,
)
from training.towers.understanding.sounds import SoundNames


def test_a_checkpoint_holds_what_was_trained(
    understood: LoadedUnderstanding, small: UnderstandingRecipe, names: SoundNames
) -> None:
    assert understood.recipe.to_dict() == small.to_dict()
    assert understood.recipe.text.folder is None
    assert understood.detector.phrases == names.seen
    assert not understood.tagger.training
    assert set(understood.text_encoder) == {"model.safetensors", "config.json", "tokenizer.json"}


def test_scores_are_written_beside_it_and_are_shares(
    understanding_checkpoint: Path, understood: LoadedUnderstanding
) -> None:
    scores = json.loads((understanding_checkpoint.parent / "scores.json").read_text())
    assert set(scores["tagger"]) == {
        "descriptions",
        "held_out_names",
        "held_out_phrasings",
        "held_out_both",
    }
    assert scores["novelty"]["known_flagged"] == understood.scores["known_flagged"]
    assert "held_out_both_exact" in understood.scores
    assert all(0 <= value <= 1 for value in understood.scores.values())


def test_the_same_training_gives_the_same_checkpoint(
    understood: LoadedUnderstanding,
    small: UnderstandingRecipe,
    names: SoundNames,
    tmp_path: Path,
) -> None:
    again = load_understanding(train_understanding(small, names, tmp_path / "run", tmp_path))
    assert again.scores == understood.scores
    state = understood.tagger.state_dict()
    assert all(torch.equal(v, state[name]) for name, v in again.tagger.state_dict().items())


def test_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"format": "towers-1"}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no understanding"):
        load_understanding(tmp_path / "other.pt")


def test_the_shipped_recipe_is_read_with_overrides() -> None:
    recipe = load_understanding_recipe("understanding", ["tagger.epochs=3"])
    assert recipe.tagger.epochs == 3
    with pytest.raises(RecipeError, match="tagger"):
        load_understanding_recipe("understanding", ["tagger.epoch=3"])
