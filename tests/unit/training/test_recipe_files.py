from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

import training
from training.errors import RecipeError
from training.recipe import load_recipe
from training.recipe_files import RecipeFile, Section, overrides_between, read_recipe
from training.scenes.recipe import load_scene
from training.towers.recipe import load_towers_recipe

LOADERS = {"": load_recipe, "scenes": load_scene, "towers": load_towers_recipe}
SHIPPED = [
    (folder, path)
    for folder in LOADERS
    for path in sorted((Path(training.__file__).parent / "recipes" / folder).glob("*.yaml"))
]


class Part(Section):
    size: int = 1


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("folder", "path"), SHIPPED, ids=lambda it: Path(it).stem)
def test_every_shipped_recipe_loads_by_its_name_and_its_path(folder: str, path: Path) -> None:
    load = LOADERS[folder]
    assert load(path.stem).name == path.stem
    assert load(str(path)) == load(path.stem)


@pytest.mark.parametrize(
    ("folder", "shipped"),
    [
        ("", "cpu, distil, paper, "),
        ("scenes", "general, rain, "),
        ("towers", "retrieval, retrieval-paper"),
    ],
)
def test_for_an_unknown_recipe_those_of_its_kind_are_listed(folder: str, shipped: str) -> None:
    with pytest.raises(RecipeError, match=f"no recipe 'papr'; shipped are {shipped}"):
        LOADERS[folder]("papr")


class Wide(RecipeFile):
    part: Part = Part()
    filters: dict[str, dict[str, int]] = Field(default_factory=dict)
    note: Part | None = None


@pytest.mark.parametrize(
    "changed",
    [
        Wide(name="other"),
        Wide(name="b", part=Part(size=7)),
        Wide(name="b", filters={"where": {"a": 2, "c d": 3}}),
        Wide(name="b", filters={}, note=Part(size=2)),
        Wide(name="b", filters={"where": {"b": 1}, "more": {}}),
    ],
)
def test_the_overrides_between_two_recipes_turn_one_into_the_other(
    tmp_path: Path, changed: Wide
) -> None:
    path = write(tmp_path / "a.yaml", "name: a\nfilters: {where: {a: 1}}\n")
    base = read_recipe(Wide, path, [])
    assert overrides_between(base, base) == []
    made = read_recipe(Wide, path, overrides_between(base, changed))
    assert made.to_dict() == changed.to_dict() | {"name": "a"}
