"""The plots of ``docs/results/engine.md``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

COST = "cost_by_length.png"
QUERIES = "query_by_size.png"


def draw_cost(path: Path, files: Iterable[dict[str, Any]]) -> None:
    """Plot how long a request takes by the length of its clip."""
    lengths, took = zip(*((it["length_s"], it["took_s"]) for it in files), strict=True)
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.loglog(lengths, took, "o-", color="C0")
    axes.set(xlabel="length of the clip [s]", ylabel="time to the answer [s]")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_queries(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plot how long a query takes by the size of the library, for each index."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name in dict.fromkeys(row["index"] for row in rows):
        own = [row for row in rows if row["index"] == name]
        axes.loglog(
            [row["vectors"] for row in own],
            [row["p50_ms"] for row in own],
            "o-",
            label=name,
            linewidth=2.5 if name == "ours" else 1,
        )
    axes.set(xlabel="vectors", ylabel="p50 of a query [ms]")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
