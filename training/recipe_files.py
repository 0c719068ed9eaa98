"""Read recipes strictly from YAML, with overrides; report all faults at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import RecipeError

R = TypeVar("R", bound="RecipeFile")


class Section(BaseModel):
    """A part of a recipe: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RecipeFile(Section):
    """A whole recipe."""

    name: str

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain data, as in its YAML file."""
        return self.model_dump(mode="json", by_alias=True)

    def sha256(self) -> str:
        """Hash all settings of the recipe, defaults included."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def read_recipe(kind: type[R], name: str, overrides: Sequence[str], folder: str = "") -> R:
    """Read a shipped recipe by its name, or a YAML file by its path.

    Args:
        kind: Model that the recipe must match.
        name: Name of a shipped recipe, or a path that ends in ``.yaml``.
        overrides: Settings ``section.key=value``, the value in YAML.
        folder: Folder of the shipped recipes of this kind, below ``training/recipes``.

    Raises:
        RecipeError: Lists every fault of the file and the overrides together.
    """
    content = _read(name, _shipped(folder))
    faults = [fault for override in overrides if (fault := _override(content, override))]
    try:
        recipe = kind.model_validate(content)
    except ValidationError as error:
        faults += [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']} (got {fault['input']!r})"
            for fault in error.errors()
        ]
    if faults:
        raise RecipeError(f"recipe {name!r} is wrong:\n  " + "\n  ".join(faults))
    return recipe


def shipped_recipes(folder: str = "") -> list[str]:
    """List the names of the shipped recipes in a folder."""
    return _names(_shipped(folder))


def overrides_between(base: RecipeFile, recipe: RecipeFile) -> list[str]:
    """List the overrides ``section.key=value`` from ``base`` to ``recipe``; names do not count."""
    changed = recipe.to_dict() | {"name": base.name}
    return list(_overrides(base.to_dict(), changed))


def _overrides(
    base: Mapping[str, Any], changed: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key, value in changed.items():
        before = base.get(key)
        if value == before:
            continue
        if isinstance(before, dict) and isinstance(value, dict) and before.keys() <= value.keys():
            yield from _overrides(before, value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"


def _shipped(folder: str) -> Traversable:
    return resources.files("training") / "recipes" / folder


def _names(folder: Traversable) -> list[str]:
    files = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def _read(name: str, folder: Traversable) -> dict[str, Any]:
    source = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not source.is_file():
        shipped = ", ".join(_names(folder))
        raise RecipeError(f"no recipe {name!r}; shipped are {shipped}, or give a path")
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {name!r} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {name!r} must be a mapping of sections")
    return content


def _override(content: dict[str, Any], override: str) -> str | None:
    """Apply one override in place; return its fault, or None."""
    keys, separator, value = override.partition("=")
    if not separator:
        return f"--set {override}: expected section.key=value"
    *parents, last = keys.strip().split(".")
    section: Any = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            return f"--set {override}: {parent} is no section"
    try:
        section[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        return f"--set {override}: the value is not YAML"
    return None
