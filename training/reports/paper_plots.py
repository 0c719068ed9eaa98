"""Plots of the page ``paper.md``: accuracy over lambda, and separability over weight and level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.reports import published
from training.reports.rows import Row, runs_of

TITLES = {"a": "(a) 100 %", "b": "(b) 50 %", "c": "(c) 0 %", "mix": "Mix"}
COLOURS = {"a": "tab:blue", "b": "tab:orange", "c": "tab:green", "mix": "tab:grey"}
DPI = 110
BGKNOWN_PLOT = "bgknown.png"
MONITORS = ("validation loss", "validation accuracy")
ACCURACY_RANGE = (25.0, 65.0)  # of the axis [%]; some intervals are wider
OFFSET = 0.006  # along the axis of lambda, between points that would overlap


def draw_bgknown(path: Path, by_loss: Sequence[Row], by_accuracy: Sequence[Row]) -> None:
    """Plot accuracy over lambda: runs as points, their mean as a line, the paper's dashed.

    Args:
        path: The file to write.
        by_loss: Rows with early stopping by validation loss.
        by_accuracy: Rows with early stopping by validation accuracy.
    """
    figure = Figure(figsize=(11.0, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, rows, monitor in zip(panels, (by_loss, by_accuracy), MONITORS, strict=True):
        _draw_over_lambda(axes, rows)
        axes.set(xlabel="λ", title=f"stopped by {monitor}", ylim=ACCURACY_RANGE)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy [%]")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="dashed: the paper", loc="outside right center")
    figure.savefig(path, dpi=DPI)


def _draw_over_lambda(axes: Axes, rows: Sequence[Row]) -> None:
    runs = {value: runs_of(rows, value) for value in published.LAMBDAS}
    trained = [value for value in runs if runs[value]]
    for number, (setting, title) in enumerate(TITLES.items()):
        colour = COLOURS[setting]
        theirs = [published.BGKNOWN[value][setting] for value in published.LAMBDAS]
        axes.plot(published.LAMBDAS, theirs, "--", color=colour, alpha=0.5)
        ours = [(value, row["accuracy"][setting]) for value in trained for row in runs[value]]
        means = [fmean(it["mean"] for other, it in ours if other == value) for value in trained]
        axes.plot(trained, means, color=colour, label=title)
        axes.errorbar(
            [value + OFFSET * number for value, _ in ours],
            [figures["mean"] for _, figures in ours],
            [figures["interval_95"] for _, figures in ours],
            fmt="o",
            markersize=4,
            elinewidth=0.8,
            capsize=2,
            color=colour,
        )


def draw_separation(path: Path, row: Row) -> None:
    """Plot rank and cosine over the weight of B for each level of A, and rank over level."""
    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    ranks, cosines, levels = figure.subplots(1, 3)
    figures = row["by_snr_db_and_weight"]
    for i, (snr_db, by_weight) in enumerate(figures.items()):
        colour = f"C{i}"
        weights = [float(w) for w in by_weight]
        median = [by_weight[w]["median_rank"] for w in by_weight]
        cosine = np.array([by_weight[w]["cosine"] for w in by_weight])
        ranks.plot(weights, median, color=colour, label=f"{snr_db} dB")
        cosines.plot(weights, cosine - cosine[0], color=colour)
    chosen = row["reference_weight"]
    for w in (0.0, chosen, 1.0):
        median = [by_weight[f"{w:g}"]["median_rank"] for by_weight in figures.values()]
        levels.plot([float(snr_db) for snr_db in figures], median, "o-", label=f"w = {w:g}")
    for axes in (ranks, cosines):
        axes.axvline(chosen, color="black", linestyle=":", linewidth=1)
        axes.set_xlabel("weight w of B")
    ranks.set_ylabel(f"median rank of A among {row['data']['candidates']}")
    cosines.set_ylabel("cosine gained over the mixture")
    levels.set(xlabel="level of A over B [dB]", ylabel="median rank of A")
    for axes in (ranks, levels):
        axes.set_yscale("log")
        axes.grid(alpha=0.3, which="both")
    ranks.legend(title="A over B")
    levels.legend()
    figure.savefig(path, dpi=DPI)


def separation_plot(row: Row) -> str:
    """Return the file name of the plot of a row."""
    return f"separation-{row['encoder']['id'].replace(':', '-')}.png"
