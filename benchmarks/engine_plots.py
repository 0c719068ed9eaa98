"""The plots of ``docs/results/engine.md``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

COST = "cost_by_length.png"
QUERIES = "query_by_size.png"


def draw_cost(path: Path, files: Iterable[dict[str, Any]]) -> None:
    """Plot the time of a request over the length of its clip."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    lengths, took = zip(*((it["length_s"], it["took_s"]) for it in files), strict=True)
    axes.loglog(lengths, took, "o-", color="C0")
    axes.set(xlabel="length of the clip [s]", ylabel="time to the answer [s]")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_queries(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plot the time of a query over the size of the library, for each index."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(row["index"] for row in rows):
        of_index = [row for row in rows if row["index"] == name]
        axes.loglog(
            [row["vectors"] for row in of_index],
            [row["p50_ms"] for row in of_index],
            "o-",
            label=name,
            linewidth=2.5 if name == "ours" else 1,
        )
    axes.set(xlabel="vectors", ylabel="p50 of a query [ms]")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
