"""Pictures of the results: accuracy over lambda, and separation over weight and level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.evaluation import paper
from training.evaluation.rows import Row, runs_of, weight

TITLES = {"a": "(a) 100 %", "b": "(b) 50 %", "c": "(c) 0 %", "mix": "Mix"}
COLOURS = {"a": "tab:blue", "b": "tab:orange", "c": "tab:green", "mix": "tab:grey"}
DPI = 110


def draw_bgknown(path: Path, rows: Sequence[Row]) -> None:
    """Draw accuracy over lambda: the paper's dashed, what was measured here as points and lines."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    for setting, title in TITLES.items():
        theirs = [paper.BGKNOWN[value][setting] for value in paper.LAMBDAS]
        axes.plot(paper.LAMBDAS, theirs, "--", color=COLOURS[setting], alpha=0.5)
        ours = [
            (value, row["accuracy"][setting])
            for value in paper.LAMBDAS
            for row in runs_of(rows, value)
        ]
        axes.errorbar(
            [value for value, _ in ours],
            [figures["mean"] for _, figures in ours],
            [figures["interval_95"] for _, figures in ours],
            fmt="o-",
            capsize=3,
            color=COLOURS[setting],
            label=title,
        )
    axes.set(xlabel="λ", ylabel="accuracy [%]", title="dashed: the paper; points: here")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=DPI)


def draw_separation(path: Path, row: Row) -> None:
    """Draw rank and cosine over the weight of B for each level of A, and rank over level."""
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
    _log_ranks(ranks, levels)
    ranks.legend(title="A over B")
    levels.legend()
    figure.savefig(path, dpi=DPI)


def _log_ranks(*panels: Axes) -> None:
    for axes in panels:
        axes.set_yscale("log")
        axes.grid(alpha=0.3, which="both")


def separation_picture(row: Row) -> str:
    """Name the picture of a row."""
    encoder = row["encoder"]
    if weight(row) is None:
        return f"separation-{encoder['id'].replace(':', '-')}.png"
    return f"separation-{encoder['id']}.png"
