"""Rows of results files, named and chosen for the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.recipe import Recipe

Row = dict[str, Any]


def weight(row: Row) -> float | None:
    """Give lambda of the encoder of a row; None for what was never trained."""
    recipe = row["encoder"].get("recipe")
    return float(recipe["loss"]["lambda"]) if recipe else None


def samples(row: Row) -> int:
    """Give the samples the encoder of a row has heard."""
    return int(row["encoder"].get("samples_seen", 0))


def plan(row: Row) -> str:
    """Name what runs of equal compute share: samples, and the recipe but for lambda and seed."""
    recipe = but_lambda(row["encoder"]["recipe"])
    kept = {key: value for key, value in recipe.items() if key not in ("name", "seed")}
    return json.dumps([samples(row), kept], sort_keys=True)


def but_lambda(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Give a recipe without its lambda."""
    whole = with_defaults(recipe)
    loss = {key: value for key, value in whole["loss"].items() if key != "lambda"}
    return {**whole, "loss": loss}


def with_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Give a recipe with the defaults of the settings that were not there when it was written."""
    return _filled(recipe, Recipe(name="").to_dict())


def _filled(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(defaults)
    for key, value in given.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            filled[key] = _filled(value, default)
        else:
            filled[key] = value
    return filled


def is_clean(row: Row) -> bool:
    """Tell whether an encoder is known to have heard nothing that is tested on."""
    heard = row.get("test_clips_heard")
    return heard is not None and heard["heard"] == 0


def trained_cleanly(rows: Iterable[Row]) -> list[Row]:
    """Choose the rows of trained encoders that heard nothing tested on."""
    return [row for row in rows if weight(row) is not None and is_clean(row)]


def swept(rows: Iterable[Row]) -> list[Row]:
    """Choose the runs that a table over lambda is made of, which heard nothing tested on."""
    return of_equal_compute(trained_cleanly(rows))


def of_equal_compute(rows: Iterable[Row]) -> list[Row]:
    """Choose the largest group of runs that differ in nothing but lambda and seed."""
    by_plan: dict[str, list[Row]] = {}
    for row in rows:
        by_plan.setdefault(plan(row), []).append(row)
    return max(by_plan.values(), key=len, default=[])


def runs_of(rows: Iterable[Row], value: float) -> list[Row]:
    """Choose the runs of one lambda that a table over lambda is made of."""
    return [row for row in swept(rows) if weight(row) == value]


def others(rows: Sequence[Row]) -> list[Row]:
    """Choose what a table over lambda is compared with.

    Trained encoders first, then untrained ones, then those that heard clips tested on.
    """
    table = swept(rows)
    longer = [row for row in trained_cleanly(rows) if row not in table]
    untrained = [row for row in rows if weight(row) is None]
    heard = [row for row in rows if weight(row) is not None and not is_clean(row)]
    return [row for group in (longer, untrained, heard) for row in sorted(group, key=name)]


def name(row: Row) -> str:
    """Name the encoder of a row for a table, with what a reader must know of it."""
    return ", ".join(filter(None, (encoder_name(row), heard_note(row))))


def encoder_name(row: Row) -> str:
    """Name the encoder of a row, whatever it was tested on."""
    encoder = row["encoder"]
    if encoder["kind"] == "log-mel":
        return "log-mel, mean and standard deviation"
    if encoder["kind"] == "random":
        return f"random initialisation, seed {encoder['id'].partition(':')[2] or 0}"
    said = [f"λ {weight(row):g}", f"{samples(row):,} samples", f"seed {encoder['recipe']['seed']}"]
    if encoder["statistics"] == "dataset":
        said.append("statistics of the data set")
    return f"`{encoder['id']}` ({', '.join(said)})"


def heard_note(row: Row) -> str:
    """Say how much of what is tested on was heard in pre-training; nothing if none was."""
    if weight(row) is None or is_clean(row):
        return ""
    heard = row.get("test_clips_heard")
    if heard is None:
        return "not known whether test clips were heard in pre-training"
    share = heard["heard"] / heard["tested"]
    return f"{share:.0%} of the test clips heard in pre-training, without labels"


def accuracy(figures: dict[str, Any]) -> str:
    """Write an accuracy with its interval."""
    return f"{figures['mean']:.2f} ± {figures['interval_95']:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
