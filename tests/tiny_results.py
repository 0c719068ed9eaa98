"""Rows of results files as the measurements write them."""

from __future__ import annotations

from typing import Any


def encoder(value: float | None, name: str = "run", *, seed: int = 42) -> dict[str, Any]:
    """Describe a trained encoder of one lambda, or one that was never trained."""
    if value is None:
        return {"id": name, "kind": name.partition(":")[0], "statistics": "dataset"}
    recipe = {"name": "table", "seed": seed, "loss": {"lambda": value}}
    known = {"samples_seen": 100_000, "recipe": recipe, "fingerprint": f"{name}{seed}"}
    return {"id": name, "kind": "bundle", "statistics": "bundle", **known}


def bgknown(about: dict[str, Any], *means: float, seen: int | None = 0) -> dict[str, Any]:
    """Make a row of table 1: means of (a), (b), (c) and Mix."""
    figures = dict(zip(("a", "b", "c", "mix"), means, strict=True))
    sides = {"events": 6, "background_recordings": 4, "with_replacement": True}
    return {
        "key": {"encoder": about["id"], "coefficient": 1.0, "monitor": "loss"},
        "encoder": about,
        "data": {"mixed_at_hz": 16_000, "sides": {"train": sides, "test": sides}},
        "test_clips_heard": None if seen is None else {"heard": seen, "tested": 800},
        "accuracy": {s: {"mean": m, "interval_95": 1.0} for s, m in figures.items()},
    }


def linear(about: dict[str, Any], task: str, mean: float, **more: object) -> dict[str, Any]:
    """Make a row of table 3."""
    return {
        "key": {"encoder": about["id"], "task": task},
        "encoder": about,
        "task": task,
        "train_folds": None,
        "test_clips_heard": {"heard": 0, "tested": 10},
        "accuracy": {"mean": mean, "interval_95": 0.5},
        **more,
    }


def sweep(
    about: dict[str, Any], a: float, *, samples_seen: int = 100_000, **settings: object
) -> dict[str, Any]:
    """Make a row of a sweep: accuracy at (a), of a recipe with some settings."""
    recipe = about["recipe"] | settings
    return {
        "key": {"encoder": about["fingerprint"]},
        "encoder": about | {"recipe": recipe, "samples_seen": samples_seen},
        "bgknown_by_accuracy": {"a": {"mean": a}, "mix": {"mean": 30.0}},
        "esc50_folds_1_3_to_4_5": {"mean": 60.0},
        "separation_at_0_db": {
            "mixture": {"median_rank": 100.0},
            "difference": {"median_rank": 10.0},
        },
    }


def separation(about: dict[str, Any], before: float, after: float) -> dict[str, Any]:
    """Make a row of separability: median rank by the mixture and by the difference."""
    by_weight = {
        "0": {"median_rank": before, "first": 0.1, "cosine": 0.5},
        "0.5": {"median_rank": after, "first": 0.2, "cosine": 0.6},
        "1": {"median_rank": before, "first": 0.1, "cosine": 0.4},
    }
    return {
        "key": {"encoder": about["id"]},
        "encoder": about,
        "reference_weight": 0.5,
        "data": {"candidates": 1000},
        "by_snr_db_and_weight": dict.fromkeys(("-10", "0", "10"), by_weight),
    }
