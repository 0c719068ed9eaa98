from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from training.recipe_files import RecipeFile, Section, overrides_between, read_recipe


class Part(Section):
    size: int = 1


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


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
