"""Renders ``docs/results/changed.md`` and its plot from the results file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from training.errors import DatasetError

RESULTS = "changed.json"
PAGE = "changed.md"
PICTURE = "changed_roc.png"
DPI = 110
SHOWN = (0.01, 0.02, 0.05, 0.1, 0.2)
AIMED_DETECTIONS = 0.7
FACTOR = 2.0  # how far a rate of false alarms may be from the stated one

TEXT = """# Has anything changed?

`changed` of `/difference`: two excerpts of one recording with nothing added must not fire, an
excerpt with a sound added should. Every figure stands in [{results}]({results}), with command,
commit and machine; the page and its plot are made by `minuend-train evaluate changed-page`.

{recordings} recordings (corpora ambience and traffic), {takes:,} takes of excerpts of
{excerpt_s:g} s, without and with one of {events:,} events of ESC-50 added at {snr_lu:g} LU.
Recordings and events are in {folds} folds; each is judged by a detector that was fitted and
calibrated on the others, at a stated rate of false alarms of {rate:.0%}. Recordings count alike;
the intervals (95 %) draw them anew. The encoder had heard {heard} of the recordings in
pre-training, without labels, and the detector's few constants were chosen in trials on the same
recordings.

{verdict}

What changes by itself cannot be told from what was added by a single reference: a bird that sings
in one excerpt alone is a sound added. Several references show what comes and goes.

{rates}

"Against" says what the references are: other excerpts of the recording, or the very excerpt
before its level was changed, it went through MP3 or was shifted by 50 ms. The same excerpts by the
relative norm, with a threshold set on the other folds in the same way:

{norms}

![Detections over false alarms]({picture})

| false alarms | {heads} |
|---|{rule}|
{roc}
"""


def write_page(folder: Path) -> Path:
    """Render the page and its plot.

    Args:
        folder: Holds the results file; the page and the plot go there.

    Raises:
        DatasetError: There are no results.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise DatasetError(f"{folder} holds no {RESULTS}; `evaluate changed` makes it")
    result = json.loads(path.read_text(encoding="utf-8"))
    draw_roc(folder / PICTURE, result["roc"])
    (folder / PAGE).write_text(render(result), encoding="utf-8")
    return folder / PAGE


def render(result: Mapping[str, Any]) -> str:
    """Render the page from what was measured."""
    roc = result["roc"]
    curves = roc["detections"]
    chosen = [i for i, rate in enumerate(roc["false_alarms"]) if rate in SHOWN]
    lines = [
        f"| {roc['false_alarms'][i]:.0%} | "
        + " | ".join(f"{100 * curve[i]:.1f} %" for curve in curves.values())
        + " |"
        for i in chosen
    ]
    return TEXT.format(
        results=RESULTS,
        picture=PICTURE,
        rate=result["false_alarm_rate"],
        verdict=verdict(result["rates"], result["false_alarm_rate"]),
        rates=table(result["rates"]),
        norms=table(result["relative_norm"]),
        heads=" | ".join(map(title, curves)),
        rule="|".join(["---"] * len(curves)),
        roc="\n".join(lines),
        **{name: result[name] for name in ("recordings", "takes", "events", "folds")},
        heard=result["recordings_heard_by_encoder"],
        **{name: result[name] for name in ("excerpt_s", "snr_lu")},
    )


def verdict(rows: Sequence[Mapping[str, Any]], rate: float) -> str:
    """Say for each number of references whether what was aimed at was reached."""
    sentences = []
    others = [row for row in rows if row["against"] == "others"]
    for n in dict.fromkeys(row["references"] for row in others):
        of_n = [row for row in others if row["references"] == n]
        detections = next(row["detections"] for row in of_n if row["condition"] == "plain")
        alarms = [row["false_alarms"] for row in of_n]
        reached = detections >= AIMED_DETECTIONS
        holds = rate / FACTOR <= min(alarms) and max(alarms) <= rate * FACTOR
        sentences.append(
            f"With {n} reference{'s' if n > 1 else ''} it fires on {100 * detections:.1f} % of the"
            f" mixtures ({AIMED_DETECTIONS:.0%} were aimed at:"
            f" {'reached' if reached else 'missed'})"
            f" and on {100 * min(alarms):.1f} to {100 * max(alarms):.1f} % of what is unchanged"
            f" ({'within' if holds else 'not within'} a factor of two)."
        )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Tabulate rates."""
    lines = [
        "| references | condition | against | recordings | false alarms | detections |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['references']} | {row['condition']} | {row['against']} | {row['recordings']} |"
        f" {share(row, 'false_alarms')} | {share(row, 'detections')} |"
        for row in rows
    ]
    return "\n".join(lines)


def share(row: Mapping[str, Any], name: str) -> str:
    """Write a share with its interval, in percent."""
    low, high = row[f"{name}_95"]
    return f"{100 * row[name]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def title(curve: str) -> str:
    """Name a curve."""
    if not curve.isdigit():
        return curve.replace("_", " ")
    return f"{curve} reference{'' if curve == '1' else 's'}"


def draw_roc(path: Path, roc: Mapping[str, Any]) -> None:
    """Draw detections over false alarms."""
    figure = Figure(figsize=(6.0, 5.0), layout="constrained")
    ax = figure.subplots()
    for name, detections in roc["detections"].items():
        style = "-" if name.isdigit() else "--"
        ax.plot(roc["false_alarms"], detections, style, label=title(name))
    ax.axvline(0.05, color="tab:gray", linewidth=0.8)
    ax.set_xlabel("false alarms")
    ax.set_ylabel("detections of a sound added at 0 LU")
    ax.set_xlim(0, 0.5)
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=DPI)
