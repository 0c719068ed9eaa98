from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from training.errors import RecipeError
from training.recipe import Recipe, load_recipe


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
