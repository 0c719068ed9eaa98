"""The plots of the page on retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DPI = 110


def draw_recall(path: Path, results: Mapping[str, Any], systems: Mapping[str, str]) -> None:
    """Draw R@10 of every way to search, a group of bars for each result."""
    figure = Figure(figsize=(8.0, 1.5 + 1.6 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, result) in zip(axes, results.items(), strict=True):
        found = [result["systems"][key]["r_at_10"] for key in systems]
        shares = [100 * (f["mean"] if isinstance(f, Mapping) else f) for f in found]
        errors = [100 * (f["interval"] or 0) if isinstance(f, Mapping) else 0.0 for f in found]
        colours = ["tab:blue", *["tab:gray"] * (len(systems) - 1)]
        titles = [title.strip("*") for title in systems.values()]
        ax.barh(titles, shares, xerr=errors, color=colours)
        ax.invert_yaxis()
        ax.set_title(name, loc="left", fontsize=9)
        ax.tick_params(labelsize=7)
        ax.grid(axis="x", alpha=0.3)
    axes[-1].set_xlabel("R@10 of 1,000 candidates [%]")
    figure.savefig(path, dpi=DPI)


def draw_strength(path: Path, results: Mapping[str, Any]) -> None:
    """Draw over the strength of the text how many of the first hits fulfil the change."""
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    ax = figure.subplots()
    for name, result in results.items():
        strengths = [float(value) for value in result["strength"]]
        shares = [100 * measured["fulfilled"]["mean"] for measured in result["strength"].values()]
        ax.plot(strengths, shares, marker="o", label=name)
    ax.set_xlabel("modifier_strength")
    ax.set_ylabel("first 10 hits that fulfil the change [%]")
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=DPI)
