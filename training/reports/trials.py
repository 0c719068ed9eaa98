"""Recipes tried on as many samples: what a setting did, and whether seeds agree on it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from training.evaluation.interval import apart
from training.reports.rows import Row, samples, table, with_defaults

# The recipe's name and its place in the sweep, not settings of training.
NAMES = ("name", "seed")
SAME_LENGTH = 1.05
"""Runs whose samples differ by less are compared."""
HEAD = ("recipe", "runs", "samples", "(a)", "against it", "Mix", "ESC-50", "median rank at 0 dB")


def trials_tables(rows: Iterable[Row]) -> str:
    """Compare rows of a sweep that differ in settings, in a table for each length of run."""
    lengths: list[list[Row]] = []
    for row in sorted(rows, key=samples):
        if not lengths or samples(row) > SAME_LENGTH * samples(lengths[-1][0]):
            lengths.append([])
        lengths[-1].append(row)
    return "\n\n".join(_trials_table(each) for each in lengths if len(each) > 1)


def _trials_table(rows: Sequence[Row]) -> str:
    """Compare rows of runs of one length, each with the most common settings.

    A setting that differs between the rows names a trial where it is not the most common one;
    the trial without such a setting is the base. Runs of one seed are compared, which begin with
    the same weights and hear the same crops; they agree on a difference at (a) if no run of one
    trial lies between those of the other.
    """
    settings = [_settings(row) for row in rows]
    usual = _most_common(settings)
    trials: dict[str, list[Row]] = {}
    for row, given in zip(rows, settings, strict=True):
        unusual = {name: value for name, value in given.items() if value != usual[name]}
        trials.setdefault(_write(unusual), []).append(row)
    base = trials.get("", [])
    return table(HEAD, (_line(name, runs, base) for name, runs in sorted(trials.items())))


def _line(name: str, runs: Sequence[Row], base: Sequence[Row]) -> Sequence[str]:
    before, after = (
        [row["separation_at_0_db"][side]["median_rank"] for row in runs]
        for side in ("mixture", "difference")
    )
    return (
        f"`{name}`" if name else "the recipe",
        str(len(runs)),
        f"{fmean(map(samples, runs)):,.0f}",
        f"{fmean(_accuracies(runs, 'a')):.1f}",
        _against(_by_seed(runs), _by_seed(base)) if name else "",
        f"{fmean(_accuracies(runs, 'mix')):.1f}",
        f"{fmean(row['esc50_folds_1_3_to_4_5']['mean'] for row in runs):.1f}",
        f"{round(fmean(before), 1):g} to {round(fmean(after), 1):g}",
    )


def _against(ours: Mapping[int, float], base: Mapping[int, float]) -> str:
    seeds = sorted(ours.keys() & base.keys())
    if not seeds:
        return "nothing to compare with"
    gains = [ours[seed] - base[seed] for seed in seeds]
    if len(seeds) == 1:
        return f"{gains[0]:+.1f}, undecided"
    decided = apart([ours[seed] for seed in seeds], [base[seed] for seed in seeds])
    each = ", ".join(f"{gain:+.1f}" for gain in gains)
    return f"{fmean(gains):+.1f} ({each}), {'seeds agree' if decided else 'undecided'}"


def _by_seed(rows: Iterable[Row]) -> dict[int, float]:
    return {
        row["encoder"]["recipe"]["seed"]: row["bgknown_by_accuracy"]["a"]["mean"] for row in rows
    }


def _accuracies(rows: Iterable[Row], setting: str) -> list[float]:
    return [row["bgknown_by_accuracy"][setting]["mean"] for row in rows]


def _settings(row: Row) -> dict[str, str]:
    """Flatten a recipe to `loss.lambda` and so on, with values in JSON."""
    settings = _flat(with_defaults(row["encoder"]["recipe"]))
    return {name: json.dumps(value) for name, value in settings if name not in NAMES}


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


def _write(unusual: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(unusual.items()))
