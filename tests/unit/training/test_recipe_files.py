from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from training.errors import RecipeError
from training.recipe_files import RecipeFile, Section, overrides_between, read_recipe


class Part(Section):
    size: int = 1


class Whole(RecipeFile):
    part: Part = Part()


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_recipe_of_any_kind_is_read_with_overrides(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "name: a\npart: {size: 2}\n")
    assert read_recipe(Whole, path, []).part.size == 2
    assert read_recipe(Whole, path, ["part.size=5"]).part.size == 5


def test_the_hash_does_not_depend_on_the_notation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "part: {size: 1}\nname: a  # a comment\n")
    assert read_recipe(Whole, path, []).sha256() == Whole(name="a").sha256()


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "name: a\npart: {sise: 2}\n")
    with pytest.raises(RecipeError, match=r"part\.sise"):
        read_recipe(Whole, path, [])


def test_only_recipes_are_listed_as_shipped() -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(Whole, "none", [])
    assert "shipped are cpu, paper" in str(caught.value)
    assert "towers" not in str(caught.value)


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
