"""Page ``docs/results/changed.md``: how well added sounds are detected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from service.retrieval.description import SURE_LEAD
from training.errors import DatasetError
from training.reports.render import render

RESULTS, DESCRIPTIONS = "changed.json", "describe.json"
FIELDS: Mapping[str, Any] = {"directions": [], "without_windows": []}  # that older results lack
PAGE = "changed.md"
PLOT = "changed_roc.png"
DPI = 110
SHOWN = (0.01, 0.02, 0.05, 0.1, 0.2)  # rates of false alarms in the table of the curve
AIMED_DETECTIONS = {1: 0.75}  # by number of references
AIMED_OTHERWISE = 0.7
AIMED_RIGHT, AIMED_ON_TIME = 0.6, 0.7
FACTOR = 2.0  # how far a measured rate of false alarms may be from the stated one


def write_page(folder: Path) -> Path:
    """Render the page and its plot.

    Args:
        folder: Holds the results file; the page and the plot are written there.

    Returns:
        The page.

    Raises:
        DatasetError: There is no results file.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise DatasetError(f"{folder} holds no {RESULTS}; `evaluate changed` makes it")
    result = json.loads(path.read_text(encoding="utf-8"))
    roc = result["roc"]
    curves = {_title(name): points for name, points in roc["detections"].items()}
    _draw_roc(folder / PLOT, roc["false_alarms"], curves)
    described = folder / DESCRIPTIONS
    page = render(
        "changed",
        result={**FIELDS, **result},
        description=json.loads(described.read_text("utf-8")) if described.is_file() else None,
        sure_lead=SURE_LEAD,
        aimed_right=AIMED_RIGHT,
        aimed_on_time=AIMED_ON_TIME,
        claims=list(aims_reached(result["rates"], result["false_alarm_rate"])),
        curves=curves,
        roc_rows=[(i, rate) for i, rate in enumerate(roc["false_alarms"]) if rate in SHOWN],
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def aims_reached(rows: Sequence[Mapping[str, Any]], rate: float) -> Iterator[dict[str, Any]]:
    """Compare the measured rates with the aims, for each number of references.

    Args:
        rows: Rates of a results file; those of other excerpts of the recording count.
        rate: The stated rate of false alarms, 0 to 1.

    Yields:
        Number of references, share of detections without further conditions and, if it is known, by
        the score of additions alone, the aim, whether it is
        reached, lowest and highest rate of false alarms, and whether both are within the factor.
    """
    others = [row for row in rows if row["against"] == "others"]
    for n in dict.fromkeys(row["references"] for row in others):
        of_n = [row for row in others if row["references"] == n]
        plain = next(row for row in of_n if row["condition"] == "plain")
        detections = plain["detections"]
        alarms = [row["false_alarms"] for row in of_n]
        aimed = AIMED_DETECTIONS.get(n, AIMED_OTHERWISE)
        yield {
            "references": n,
            "detections": detections,
            "one_sided": plain.get("one_sided"),
            "aimed": aimed,
            "reached": detections >= aimed,
            "lowest": min(alarms),
            "highest": max(alarms),
            "within": rate / FACTOR <= min(alarms) and max(alarms) <= rate * FACTOR,
        }


def _title(curve: str) -> str:
    if not curve.isdigit():
        return curve.replace("_", " ")
    return f"{curve} reference{'' if curve == '1' else 's'}"


def _draw_roc(
    path: Path, false_alarms: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> None:
    """Plot detections over false alarms."""
    figure = Figure(figsize=(6.0, 5.0), layout="constrained")
    ax = figure.subplots()
    for title, detections in curves.items():
        ax.plot(false_alarms, detections, "-" if title[0].isdigit() else "--", label=title)
    ax.axvline(0.05, color="tab:gray", linewidth=0.8)
    ax.set_xlabel("false alarms")
    ax.set_ylabel("detections of a sound added at 0 LU")
    ax.set_xlim(0, 0.5)
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=DPI)
