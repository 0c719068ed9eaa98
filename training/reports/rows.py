"""Rows of results files: how they are chosen, sorted and named for tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.recipe import with_defaults

Row = dict[str, Any]


def lambda_of(row: Row) -> float | None:
    """Return lambda of the encoder of a row; None for an untrained encoder."""
    recipe = row["encoder"].get("recipe")
    return float(recipe["loss"]["lambda"]) if recipe else None


def samples_seen(row: Row) -> int:
    """Return the number of samples that the encoder of a row was trained on."""
    return int(row["encoder"].get("samples_seen", 0))


def setup_key(row: Row) -> str:
    """Return the key of runs of equal compute: samples, and recipe without lambda and seed."""
    recipe = without_lambda(row["encoder"]["recipe"])
    shared = {key: value for key, value in recipe.items() if key not in ("name", "seed")}
    return json.dumps([samples_seen(row), shared], sort_keys=True)


def without_lambda(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe, defaults filled in, without its lambda."""
    filled = with_defaults(recipe)
    loss = {key: value for key, value in filled["loss"].items() if key != "lambda"}
    return {**filled, "loss": loss}


def is_clean(row: Row) -> bool:
    """Tell whether an encoder is known to have seen no test clip in pre-training."""
    overlap = row.get("test_clips_heard")
    return overlap is not None and overlap["heard"] == 0


def trained_cleanly(rows: Iterable[Row]) -> list[Row]:
    """Select the rows of trained encoders that saw no test clip in pre-training."""
    return [row for row in rows if lambda_of(row) is not None and is_clean(row)]


def of_equal_compute(rows: Iterable[Row]) -> list[Row]:
    """Select the largest group of runs that differ in lambda and seed alone."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(setup_key(row), []).append(row)
    return max(groups.values(), key=len, default=[])


def comparable(rows: Iterable[Row]) -> list[Row]:
    """Select the runs that a table over lambda consists of."""
    return of_equal_compute(trained_cleanly(rows))


def runs_of(rows: Iterable[Row], value: float) -> list[Row]:
    """Select the runs of one lambda that a table over lambda consists of."""
    return [row for row in comparable(rows) if lambda_of(row) == value]


def others(rows: Sequence[Row]) -> list[Row]:
    """Select the rows that are listed below a table over lambda.

    Returns:
        Longer training first, then untrained encoders, then those that saw test clips; each
        group by name.
    """
    table = comparable(rows)
    longer = [row for row in trained_cleanly(rows) if row not in table]
    untrained = [row for row in rows if lambda_of(row) is None]
    unclean = [row for row in rows if lambda_of(row) is not None and not is_clean(row)]
    return [row for group in (longer, untrained, unclean) for row in sorted(group, key=full_name)]


def full_name(row: Row) -> str:
    """Name the encoder of a row, with a note where it saw test clips."""
    return ", ".join(filter(None, (encoder_name(row), overlap_note(row))))


def encoder_name(row: Row) -> str:
    """Name the encoder of a row, for a table."""
    encoder = row["encoder"]
    if encoder["kind"] == "log-mel":
        return "log-mel, mean and standard deviation"
    if encoder["kind"] == "teacher":
        return "YAMNet, the teacher of distillation"
    if encoder["kind"] == "random":
        return f"random initialisation, seed {encoder['id'].partition(':')[2] or 0}"
    details = (
        f"λ {lambda_of(row):g}, {samples_seen(row):,} samples, seed {encoder['recipe']['seed']}"
    )
    if encoder["statistics"] == "dataset":
        details += ", statistics of the data set"
    return f"`{encoder['id']}` ({details})"


def overlap_note(row: Row) -> str:
    """State which share of the test clips an encoder saw; empty for a clean or untrained one."""
    if lambda_of(row) is None or is_clean(row):
        return ""
    overlap = row.get("test_clips_heard")
    if overlap is None:
        return "not known whether test clips were in the pre-training data"
    share = overlap["heard"] / overlap["tested"]
    return f"{share:.0%} of the test clips were in the pre-training data, without labels"


def by_lambda(rows: Iterable[Row]) -> list[Row]:
    """Sort rows: untrained encoders, then by lambda and by samples seen."""

    def position(row: Row) -> tuple[bool, float, int, str]:
        value = lambda_of(row)
        return value is not None, value or 0.0, samples_seen(row), row["encoder"]["id"]

    return sorted(rows, key=position)
