"""Tables of sweeps: the accuracy that lambda costs and gains, and recipes that differ otherwise.

Every row is one of ``sweep.json``: one training run, measured in three ways.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from training.evaluation.interval import apart
from training.recipe import with_defaults
from training.reports import published
from training.reports.rows import Row, lambda_of, of_equal_compute, samples_seen

LABELS = ("name", "seed")
"""Entries of a recipe that tell runs apart and are not settings of training."""
SAME_LENGTH = 1.05
"""Runs whose numbers of samples differ by a smaller factor are compared."""


def retained_accuracy(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Compare accuracy at (a) with clean accuracy, for each lambda, here and in the paper.

    Args:
        rows: Of a sweep over lambda.

    Returns:
        By lambda: the number of runs and mean accuracies [%]; empty without two lambdas.
    """
    runs: dict[float, list[Row]] = {}
    for row in of_equal_compute(rows):
        runs.setdefault(float(lambda_of(row) or 0.0), []).append(row)
    known = sorted(value for value in runs if value in published.LAMBDAS)
    esc50 = published.LINEAR_TASKS.index("esc50")
    found = [
        {
            "lambda": value,
            "runs": len(runs[value]),
            "clean": fmean(_esc50(runs[value])),
            "a": fmean(_accuracies(runs[value], "a")),
            "published_clean": float(published.LINEAR[value][esc50].split()[0]),
            "published_a": published.BGKNOWN[value]["a"],
        }
        for value in known
    ]
    return found if len(found) > 1 else []


def settings_tables(rows: Iterable[Row]) -> list[list[dict[str, Any]]]:
    """Compare recipes that differ in settings, in a table for each length of training.

    Args:
        rows: Of sweeps over settings, and of the recipe that they start from.

    Returns:
        The lines of each table: the settings that are not the most common ones, as text (empty
        for the recipe itself), the number of runs, means, and the gains at (a) in points over the
        recipe, seed by seed. ``decided`` tells whether no run of the one lies between those of
        the other; it needs two seeds.
    """
    lengths: list[list[Row]] = []
    for row in sorted(rows, key=samples_seen):
        if not lengths or samples_seen(row) > SAME_LENGTH * samples_seen(lengths[-1][0]):
            lengths.append([])
        lengths[-1].append(row)
    return [list(_lines(each)) for each in lengths if len(each) > 1]


def _lines(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    settings = [_settings(row) for row in rows]
    usual = _most_common(settings)
    variants: dict[str, list[Row]] = {}
    for row, given in zip(rows, settings, strict=True):
        unusual = sorted((name, value) for name, value in given.items() if value != usual[name])
        variants.setdefault(" ".join(f"{n}={v}" for n, v in unusual), []).append(row)
    base = _by_seed(variants.get("", []))
    for name, runs in sorted(variants.items()):
        ours = _by_seed(runs)
        seeds = sorted(ours.keys() & base.keys())
        yield {
            "settings": name,
            "runs": len(runs),
            "samples": fmean(map(samples_seen, runs)),
            "a": fmean(_accuracies(runs, "a")),
            "gains": [ours[seed] - base[seed] for seed in seeds],
            "decided": len(seeds) > 1 and apart([ours[s] for s in seeds], [base[s] for s in seeds]),
            "mix": fmean(_accuracies(runs, "mix")),
            "esc50": fmean(_esc50(runs)),
            "ranks": [
                fmean(row["separation_at_0_db"][query]["median_rank"] for row in runs)
                for query in ("mixture", "difference")
            ],
        }


def _by_seed(rows: Iterable[Row]) -> dict[int, float]:
    return {
        row["encoder"]["recipe"]["seed"]: row["bgknown_by_accuracy"]["a"]["mean"] for row in rows
    }


def _accuracies(rows: Iterable[Row], setting: str) -> list[float]:
    return [row["bgknown_by_accuracy"][setting]["mean"] for row in rows]


def _esc50(rows: Iterable[Row]) -> list[float]:
    return [row["esc50_folds_1_3_to_4_5"]["mean"] for row in rows]


def _settings(row: Row) -> dict[str, str]:
    """Flatten a recipe to ``loss.lambda`` and so on, with values in JSON."""
    settings = _flat(with_defaults(row["encoder"]["recipe"]))
    return {name: json.dumps(value) for name, value in settings if name not in LABELS}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _most_common(settings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    names = {name for given in settings for name in given}
    return {
        name: Counter(given.get(name, "") for given in settings).most_common(1)[0][0]
        for name in names
    }
