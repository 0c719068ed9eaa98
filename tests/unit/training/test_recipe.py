from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from training.errors import RecipeError
from training.recipe import LossRecipe, Recipe, load_recipe, with_defaults


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_paper_s_recipe_has_the_paper_s_values() -> None:
    recipe = load_recipe("paper")
    assert recipe.data.max_files == 200_000
    assert (recipe.optim.epochs, recipe.optim.batch_size) == (100, 256)
    assert (recipe.optim.learning_rate, recipe.optim.schedule) == (1e-3, "constant")
    assert (recipe.optim.warmup_steps, recipe.optim.ema_decay) == (0, 0.99)
    assert recipe.loss.gamma == (0.4, 0.6)
    assert recipe.loss.symmetric
    assert recipe.loss.mix_domain == "normalised"
    assert not recipe.loss.renormalise
    assert not recipe.loss.stop_gradient
    views = recipe.views
    assert (views.mixup_ratio, views.bank_size, views.fader_gain) == (0.2, 2048, 1.0)
    assert (views.crop_scale, views.canvas_scale) == ((0.6, 1.5), 1.5)


@pytest.mark.parametrize("name", ["paper", "cpu", "table", "distil"])
def test_the_variants_are_off_in_every_shipped_recipe(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.loss.snr_db is None
    assert (recipe.loss.reference, recipe.loss.mix_domain) == ("same", "normalised")
    assert not recipe.loss.predicts_labels
    assert not recipe.loss.mixes_excerpts
    assert recipe.data.crop_seconds == 0.95
    assert recipe.optim.max_steps is None


@pytest.mark.parametrize(
    ("loss", "directions", "subtracts", "has_teacher"),
    [
        ({"lambda": 0.0}, 0, False, False),
        ({"lambda": 0.2}, 2, True, False),
        ({"lambda": 0.2, "symmetric": False}, 1, True, False),
        ({"lambda": 0.0, "teacher": 1.0}, 0, False, True),
        ({"lambda": 0.0, "teacher_labels": 1.0}, 0, False, True),
        ({"lambda": 0.0, "teacher_labels_difference": 1.0}, 2, True, True),
    ],
)
def test_a_part_runs_if_a_loss_with_a_weight_needs_it(
    loss: dict[str, float], directions: int, subtracts: bool, has_teacher: bool
) -> None:
    found = LossRecipe.model_validate({**loss, "reference": "excerpt"})
    assert found.directions == directions
    assert found.subtracts == found.mixes_excerpts == subtracts
    assert found.has_teacher == has_teacher


def test_the_recipe_for_two_cores_takes_the_difference_loss_in_one_direction() -> None:
    assert not load_recipe("cpu").loss.symmetric
    assert load_recipe("cpu").loss.lambda_ == 0.5


def test_a_written_recipe_is_read_back(tmp_path: Path) -> None:
    recipe = load_recipe("cpu", ["data.where.permissive=1", "loss.lambda=0.2"])
    again = load_recipe(write(tmp_path / "again.yaml", yaml.safe_dump(recipe.to_dict())))
    assert again == recipe
    assert again.sha256() == recipe.sha256()
    assert Recipe.model_validate(recipe.to_dict()) == recipe


def test_the_hash_depends_on_every_setting(tmp_path: Path) -> None:
    recipe = load_recipe("cpu")
    changes = ["seed=1", "loss.lambda=0.4", "data.exclude.corpus=esc50", "optim.epochs=3"]
    hashes = {load_recipe("cpu", [change]).sha256() for change in changes}
    assert len(hashes | {recipe.sha256()}) == len(changes) + 1
    text = "# another comment\n" + yaml.safe_dump(recipe.to_dict(), sort_keys=True)
    assert load_recipe(write(tmp_path / "same.yaml", text)).sha256() == recipe.sha256()


def test_overrides_are_read_as_yaml_and_checked_like_the_file() -> None:
    recipe = load_recipe(
        "paper",
        ["optim.learning_rate=3e-4", "data.max_files=null", "data.where.fold=[1, two]", "seed=7"],
    )
    assert recipe.optim.learning_rate == 3e-4
    assert recipe.data.max_files is None
    assert recipe.data.where == {"fold": [1, "two"]}
    assert recipe.seed == 7
    assert recipe.optim.epochs == 100


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "bad.yaml",
        "name: bad\n"
        "loss: {lambda: 1.5, gama: [0.4, 0.6]}\n"
        "optim: {epochs: 0, batch_size: many}\n"
        "extra: {a: 1}\n",
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ["loss.symmetric", "views.bank_size=0", "name.x=1"])
    message = str(caught.value)
    for fault in (
        *("loss.lambda", "loss.gama", "optim.epochs", "optim.batch_size", "extra"),
        *("views.bank_size", "--set loss.symmetric: expected section.key=value", "--set name.x"),
    ):
        assert fault in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a list", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("", "must be a mapping"),
        ("loss: {}", "name: Field required"),
        ("name: x\nloss: 3", "loss"),
        ("name: x\nseed: -1", "seed"),
        ("name: x\nloss: {gamma: [0.4, 1.0]}", "loss.gamma.1"),
        ("name: x\nloss: {snr_db: [5, -5]}", "loss.snr_db: .*lower bound comes first"),
        ("name: x\nloss: {reference: other}", "loss.reference"),
        ("name: x\ndata: {crop_seconds: 0}", "data.crop_seconds"),
        ("name: x\nviews: {crop_scale: [0, 1]}", "views.crop_scale.0"),
        ("name: x\ndata: {where: {column: {nested: 1}}}", "data.where.column"),
    ],
)
def test_an_invalid_recipe_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        load_recipe(write(tmp_path / "bad.yaml", text))


def test_an_override_that_is_not_yaml_is_named() -> None:
    with pytest.raises(RecipeError, match=r"--set seed=\[: the value is not YAML"):
        load_recipe("cpu", ["seed=["])


def test_settings_that_an_older_recipe_lacks_have_their_defaults() -> None:
    recipe = load_recipe("cpu", ["loss.lambda=0.2", "data.where.permissive=1"]).to_dict()
    older = {**recipe, "loss": {k: v for k, v in recipe["loss"].items() if k != "snr_db"}}
    assert with_defaults(older) == recipe
