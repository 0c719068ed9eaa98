"""Page ``docs/results/linear.md``: linear classifiers on all labelled corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.evaluation.corpora import CORPORA
from training.reports.render import render
from training.reports.rows import Row, by_lambda, encoder_name
from training.results import read_rows

PAGE = "linear.md"
SIDES = {
    "fold": "folds of the corpus",
    "split": "splits of the corpus",
    "drawn": "five folds drawn here, by recording",
}


def write_page(folder: Path) -> Path:
    """Render the page.

    Args:
        folder: Holds the results file; the page is written there.

    Returns:
        The page.

    Raises:
        DatasetError: There are no results.
    """
    rows = read_rows(folder / CORPORA)
    if not rows:
        raise DatasetError(f"{folder} holds no {CORPORA}; `evaluate linear --data` makes it")
    page = render("linear", tasks=_tasks(rows), encoders=_encoders(rows), file=CORPORA)
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def protocol_title(row: Row) -> str:
    """Name the corpus and the protocol of a row."""
    if row["train_folds"]:
        trained = ", ".join(map(str, row["train_folds"]))
        return f"{row['corpus']}, trained on folds {trained}"
    return f"{row['corpus']}, five folds" if row["corpus"] == "esc50" else str(row["corpus"])


def cell(row: Row) -> str:
    """Write the accuracy of a row with its interval, and how many tested clips were heard."""
    low, high = row["interval_95"]
    text = f"{row['accuracy']:.1f} ({low:.1f} to {high:.1f})"
    heard = row["test_clips_heard"]
    if heard and heard["heard"]:
        text += f", {heard['heard']} of {heard['tested']} clips heard"
    return text


def _tasks(rows: list[Row]) -> list[dict[str, Any]]:
    """Describe every protocol once, by its newest row."""
    latest = {protocol_title(row): row for row in rows}
    return [{"title": title, "sides": SIDES[row["sides"]], **row} for title, row in latest.items()]


def _encoders(rows: list[Row]) -> dict[str, dict[str, str]]:
    """Arrange the cells of the table: by encoder, then by protocol."""
    cells: dict[str, dict[str, str]] = {}
    for row in by_lambda(rows):
        cells.setdefault(encoder_name(row), {})[protocol_title(row)] = cell(row)
    return cells
