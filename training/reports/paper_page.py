"""Page ``docs/results/paper.md``: the paper's tables beside the figures measured here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.datasets.tasks import TASKS
from training.evaluation.measure import BGKNOWN, LINEAR, SEPARATION, SWEEP
from training.reports import published
from training.reports.claims import (
    bgknown_claims,
    longest_trained,
    separation_claims,
    worse_than_untrained,
)
from training.reports.paper_plots import (
    BGKNOWN_PLOT,
    TITLES,
    draw_bgknown,
    draw_separation,
    separation_plot,
)
from training.reports.render import render
from training.reports.rows import (
    Row,
    by_lambda,
    encoder_name,
    full_name,
    lambda_of,
    others,
    overlap_note,
    runs_of,
)
from training.reports.sweep_tables import retained_accuracy, settings_tables
from training.reports.trial_table import read_trials, trial_lines
from training.results import read_rows

PAGE = "paper.md"
SETTINGS_SWEEP = f"trials/{SWEEP}"
"""Sweeps over other settings than lambda have a file of their own, so tables 1 and 3 are of one
recipe."""
DISTILLATION = "trials/distillation"
"""Folder of the trials of distillation, a file for each."""


def write_page(folder: Path) -> Path:
    """Render the page and its plots.

    Args:
        folder: Holds the results files; one that is missing counts as empty. The page and the
            plots are written there.

    Returns:
        The page.

    Raises:
        DatasetError: A file is not a results file.
    """
    files = (BGKNOWN, LINEAR, SEPARATION, SWEEP, SETTINGS_SWEEP)
    bgknown, linear, separation, sweep, other_settings = (read_rows(folder / it) for it in files)
    separation = by_lambda(separation)
    by_loss, by_accuracy = (
        [row for row in bgknown if row["key"]["coefficient"] == 1 and row["key"]["monitor"] == m]
        for m in ("loss", "accuracy")
    )
    folder.mkdir(parents=True, exist_ok=True)
    draw_bgknown(folder / BGKNOWN_PLOT, by_loss, by_accuracy)
    for row in separation:
        draw_separation(folder / separation_plot(row), row)
    base = [row for row in sweep if lambda_of(row) in set(map(lambda_of, other_settings))]
    page = render(
        "paper",
        titles=TITLES,
        by_loss=_bgknown_table(by_loss),
        by_accuracy=_bgknown_table(by_accuracy),
        by_coefficient=_coefficient_rows(bgknown),
        separation_claims=separation_claims(separation),
        worse_than_untrained=list(worse_than_untrained(linear)),
        longest=longest_trained(by_loss, linear),
        retained=retained_accuracy(sweep),
        published=published,
        tasks=TASKS,
        linear=_linear_table(by_lambda(linear)),
        absent=[task for task in published.LINEAR_TASKS if task not in {r["task"] for r in linear}],
        separation=separation,
        levels=sorted({db for row in separation for db in row["by_snr_db_and_weight"]}, key=float),
        settings_sweep=SETTINGS_SWEEP,
        settings_tables=settings_tables([*base, *other_settings]) if other_settings else [],
        distillation=DISTILLATION,
        trials=list(trial_lines(read_trials(folder / DISTILLATION))),
        encoder_name=encoder_name,
        full_name=full_name,
        separation_plot=separation_plot,
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def _bgknown_table(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the data set, rows and claims of table 1 for one kind of early stopping."""
    return {
        "data": rows[-1]["data"] if rows else None,
        "rows": list(_bgknown_rows(rows)),
        "claims": bgknown_claims(rows),
    }


def _bgknown_rows(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for value, theirs in published.BGKNOWN.items():
        runs = runs_of(rows, value)
        for row in runs:
            yield {"name": full_name(row), "published": theirs, "accuracy": row["accuracy"]}
        if not runs:
            yield {"name": f"{value:g}", "published": theirs, "accuracy": None}
    for row in others(rows):
        yield {"name": full_name(row), "published": None, "accuracy": row["accuracy"]}


def _coefficient_rows(rows: Sequence[Row]) -> list[Row]:
    """Select the encoders that were measured with a part of the reference subtracted."""
    measured = {row["key"]["encoder"] for row in rows if row["key"]["coefficient"] != 1}
    chosen = [
        row
        for row in rows
        if row["key"]["encoder"] in measured and row["key"]["monitor"] == "accuracy"
    ]
    return sorted(chosen, key=lambda row: (full_name(row), row["key"]["coefficient"]))


def _linear_table(rows: Sequence[Row]) -> dict[str, Any]:
    """Arrange table 3: a line for each encoder, a column for each task."""
    cells: dict[str, dict[str, Any]] = {}
    for row in rows:
        cell = {"accuracy": row["accuracy"], "note": overlap_note(row)}
        cells.setdefault(encoder_name(row), {})[_task_title(row)] = cell
    return {"tasks": sorted({_task_title(row) for row in rows}), "cells": cells}


def _task_title(row: Row) -> str:
    title = TASKS[row["task"]].title if row["task"] in TASKS else f"`{row['task']}`"
    if row["train_folds"]:
        return f"{title}, trained on folds {', '.join(map(str, row['train_folds']))}"
    return f"{title}, five folds" if row["task"] == "esc50" else title
