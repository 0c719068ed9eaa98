from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import RecipeError
from training.towers.recipe import MINILM_SHA256, TowersRecipe, load_towers_recipe


def test_the_paper_s_recipe_has_the_paper_s_values() -> None:
    recipe = load_towers_recipe("retrieval-paper")
    assert recipe.optim.epochs == 300
    assert (recipe.pairs.validation, recipe.pairs.validate_by) == (0.1, "pair")
    assert recipe.network.dim == 512
    assert recipe.loss.classification > 0
    assert (recipe.loss.description, recipe.loss.events, recipe.loss.difference) == (0, 0, 0)
    assert (recipe.pairs.per_bed, recipe.pairs.reversed) == (1, 0)
    assert recipe.optim.weight_decay == 0


def test_minilm_has_its_published_hash_unless_the_recipe_has_another() -> None:
    assert load_towers_recipe("retrieval").text.weights_sha256 == MINILM_SHA256
    other = load_towers_recipe("retrieval-paper", ["text.folder=bert", "text.weights_sha256=null"])
    assert other.text.folder == Path("bert")
    assert other.text.weights_sha256 is None


def test_the_folder_of_the_text_encoder_is_not_part_of_the_hash() -> None:
    recipe, moved = (
        load_towers_recipe("retrieval"),
        load_towers_recipe("retrieval", ["text.folder=/else/where"]),
    )
    assert moved.sha256() == recipe.sha256()
    assert TowersRecipe.model_validate(moved.to_dict()) == recipe


def test_components_need_standardised_inputs() -> None:
    with pytest.raises(RecipeError, match="set standardise"):
        load_towers_recipe("retrieval-paper", ["network.components=64"])
