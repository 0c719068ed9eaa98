"""Page ``docs/results/words.md``: what searches by text, example and difference find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.evaluation.words.measure import RESULTS
from training.reports.render import render
from training.reports.words_plots import draw_aims, draw_negation
from training.results import read_rows

PAGE = "words.md"
AIMS_PLOT = "words_aims.png"
NEGATION_PLOT = "words_negation.png"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure that a bundle should reach.

    Attributes:
        title: What the figure is.
        place: Keys of the figure in a row.
        bound: The aim.
        at_most: Whether the figure should be at most the bound, else at least.
        is_share: Whether it is a share, else a ratio.
    """

    title: str
    place: tuple[str, ...]
    bound: float
    at_most: bool = False
    is_share: bool = True

    def figure(self, row: Row) -> Mapping[str, Any]:
        """Return the figure of a row; one without a value if the row lacks it."""
        found: Any = row
        for name in self.place:
            found = found.get(name, {})
        return found or {"value": None, "interval_95": None, "queries": 0}

    def is_reached(self, row: Row) -> bool:
        """Tell whether a row reaches the aim."""
        value = self.figure(row)["value"]
        if value is None:
            return False
        return bool(value <= self.bound if self.at_most else value >= self.bound)


AIMS = (
    Aim("text alone: first hit right", ("text_only", "first"), 0.90),
    Aim("text alone: right among the first five", ("text_only", "precision_at_5"), 0.75),
    Aim("nonsense flagged", ("unknown", "nonsense"), 0.80),
    Aim("known texts flagged", ("unknown", "known"), 0.03, at_most=True),
    Aim(
        "background taken away: unwanted hits, with the text by without",
        ("negation", "background", "all", "ratio"),
        0.5,
        at_most=True,
        is_share=False,
    ),
    Aim(
        "event taken away: unwanted hits, with the text by without",
        ("negation", "event", "all", "ratio"),
        0.5,
        at_most=True,
        is_share=False,
    ),
    Aim(
        "clip + text, target over another recording: in the first five",
        ("composition", "another", "first_5"),
        0.50,
    ),
    Aim(
        "mixture minus another recording: event in the first hit",
        ("subtraction", "hits", "another", "first"),
        0.55,
    ),
    Aim(
        "mixture minus the same recording: event in the first hit",
        ("subtraction", "hits", "same", "first"),
        0.80,
    ),
    Aim(
        "difference: first phrase names the event",
        ("subtraction", "phrases", "same", "named"),
        0.60,
    ),
    Aim(
        "by example: right among the first five",
        ("example", "all", "precision_at_5"),
        0.62,
    ),
    Aim(
        "by example, ESC-50 alone: right among the first five",
        ("example", "esc50_alone", "precision_at_5"),
        0.62,
    ),
)


def write_page(folder: Path) -> Path:
    """Render the page and its plots.

    Args:
        folder: Holds the results file; the page and the plots are written there.

    Returns:
        The page.

    Raises:
        DatasetError: There is no results file.
    """
    rows = read_rows(folder / RESULTS)
    if not rows:
        raise DatasetError(f"{folder} holds no {RESULTS}; `evaluate words` makes it")
    newest, *older = group_rows(rows)
    draw_aims(folder / AIMS_PLOT, AIMS, dict(zip(titles(newest), newest, strict=True)))
    draw_negation(
        folder / NEGATION_PLOT,
        {title: row["negation"] for title, row in zip(titles(newest), newest, strict=True)},
    )
    page = render(
        "words",
        aims=AIMS,
        newest=newest,
        older=older,
        titles=titles,
        requests=list(_requests(newest)),
        corpora=_example_names(newest),
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def group_rows(rows: Sequence[Row]) -> list[list[Row]]:
    """Group rows that were measured over the same clips, the group of the last row first."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["key"]["clips"]].append(row)
    last = rows[-1]["key"]["clips"]
    return [groups.pop(last), *groups.values()]


def titles(rows: Iterable[Row]) -> list[str]:
    """Name bundles by their ids and the first digits of their encoders and towers."""
    return [
        f"{row['bundle']['id']} {row['key']['encoder'][:4]}/{row['key']['towers'][:4]}"
        for row in rows
    ]


def _requests(rows: Sequence[Row]) -> Iterable[tuple[str, int, list[int]]]:
    """List each request with its number of right clips and the right hits of every bundle."""
    asked = [row["text_only"]["requests"] for row in rows]
    for of_rows in zip(*asked, strict=True):
        first = of_rows[0]
        yield first["text"], first["right_clips"], [each["right_of_5"] for each in of_rows]


def _example_names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["example"]))
