"""Plots of the page ``retrieval.md``: recall, and the strength of the text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DPI = 110


def draw_recall(path: Path, results: Mapping[str, Any], queries: Mapping[str, str]) -> None:
    """Plot R@10 of every kind of query, a panel for each result.

    Args:
        path: The file to write.
        results: Results of experiments by their name.
        queries: Titles of the kinds of queries by their key.
    """
    figure = Figure(figsize=(8.0, 1.5 + 1.6 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, result) in zip(axes, results.items(), strict=True):
        recalls = [result["systems"][key]["r_at_10"] for key in queries]
        shares = [100 * (it["mean"] if isinstance(it, Mapping) else it) for it in recalls]
        errors = [100 * (it["interval"] or 0) if isinstance(it, Mapping) else 0 for it in recalls]
        colours = ["tab:blue", *["tab:gray"] * (len(queries) - 1)]
        titles = [title.strip("*") for title in queries.values()]
        ax.barh(titles, shares, xerr=errors, color=colours)
        ax.invert_yaxis()
        ax.set_title(name, loc="left", fontsize=9)
        ax.tick_params(labelsize=7)
        ax.grid(axis="x", alpha=0.3)
    axes[-1].set_xlabel("R@10 of 1,000 candidates [%]")
    figure.savefig(path, dpi=DPI)


def draw_strength(path: Path, results: Mapping[str, Any]) -> None:
    """Plot the share of the first 10 hits that fulfil the change over the strength of the text."""
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
