"""Plots of the page ``words.md``: figures beside their aims, and the wordings of negation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 110
HEIGHT = 0.8  # of the bars of one figure


class ShownAim(Protocol):
    """A figure with its aim, see ``training.reports.words_page.Aim``."""

    @property
    def title(self) -> str:
        """Name of the figure."""

    @property
    def bound(self) -> float:
        """The aim."""

    def figure(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the figure of a row."""


def draw_aims(path: Path, aims: Sequence[ShownAim], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Plot every figure with its interval for each bundle, and the aim as a line.

    Args:
        path: The file to write.
        aims: The figures.
        rows: Rows of the results by the titles of their bundles.
    """
    figure = Figure(figsize=(8.5, 1.0 + 0.45 * len(aims)), layout="constrained")
    ax = figure.subplots()
    for number, (title, row) in enumerate(rows.items()):
        _draw_bars(ax, [aim.figure(row) for aim in aims], number, len(rows), title)
    for place, aim in enumerate(aims):
        ends = (place - HEIGHT / 2, place + HEIGHT / 2)
        ax.plot([aim.bound, aim.bound], ends, color="black", linewidth=1.5)
    ax.set_yticks(range(len(aims)), [aim.title for aim in aims], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("share or ratio; the black line is the aim")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=DPI)


def draw_negation(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Plot the ratio of unwanted hits for each wording, a panel for backgrounds and for events.

    Args:
        path: The file to write.
        results: The protocol's figures by the titles of the bundles.
    """
    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    for ax, part in zip(figure.subplots(1, 2, sharex=True, sharey=True), RATIO_PARTS, strict=True):
        wordings = list(next(iter(results.values()))[part])
        for number, (title, result) in enumerate(results.items()):
            ratios = [result[part][wording]["ratio"] for wording in wordings]
            _draw_bars(ax, ratios, number, len(results), title)
        ax.axvline(1.0, color="tab:gray", linewidth=0.8)
        ax.axvline(0.5, color="black", linewidth=0.8)
        ax.set_yticks(range(len(wordings)), wordings, fontsize=8)
        ax.set_title(f"{part} taken away", loc="left", fontsize=9)
        ax.set_xlabel("unwanted hits, with the text by without")
        ax.grid(axis="x", alpha=0.3)
    ax.invert_yaxis()
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=DPI)


RATIO_PARTS = ("background", "event")


def _draw_bars(
    ax: Axes, figures: Sequence[Mapping[str, Any]], number: int, n: int, title: str
) -> None:
    """Plot one bar with its interval for each figure, beside those of other bundles."""
    places = np.arange(len(figures)) + HEIGHT * ((number + 0.5) / n - 0.5)
    values = np.array([figure["value"] or 0.0 for figure in figures])
    bounds = np.array(
        [figure["interval_95"] or [v, v] for figure, v in zip(figures, values, strict=True)]
    )
    errors = np.abs(bounds.T - values)
    ax.barh(places, values, HEIGHT / n, xerr=errors, label=title, error_kw={"linewidth": 0.8})
