"""Render ``docs/results/engine.md`` and its plots from the results files of the engine.

    python benchmarks/engine_report.py [FOLDER]

Every figure on that page stands in one of the files it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import results
from engine_aims import aims
from engine_plots import COST, QUERIES, draw_cost, draw_queries
from report import read, steps

from training.reports.render import render

Found = dict[str, dict[str, Any]]
"""Results files by their name."""

NAMES = (
    "burst",
    "front_end",
    "index",
    "library",
    "long_file",
    "modifier",
    "peers",
    "precision",
    "serving",
    "training_step",
    "tuning",
)
BY_PROCESSOR = ("front_end", "peers", "precision", "serving", "training_step")
"""The benchmarks whose results are kept for each processor."""


def main() -> None:
    """Draw the plots and render the page."""
    folder = results.page_folder()
    found = {name: read(name) for name in NAMES}
    draw_cost(folder / COST, found["long_file"]["files"].values())
    draw_queries(folder / QUERIES, found["index"]["rows"])
    columns = processors()
    fullest_first = sorted(columns.values(), key=len, reverse=True)
    page = render(
        "engine",
        **found,
        hardware=by_hardware(found),
        aims=aims(found),
        processors=columns,
        titles=list(dict.fromkeys(title for column in fullest_first for title in column)),
    )
    (folder / "engine.md").write_text(page, encoding="utf-8")


def by_hardware(found: Found) -> list[tuple[dict[str, Any], list[str]]]:
    """Group the results files by the machine that they were measured on."""
    machines: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for name, result in found.items():
        hardware = {key: result["hardware"][key] for key in ("cores", "processor", "instructions")}
        machines.setdefault(str(hardware), (hardware, []))[1].append(name)
    return list(machines.values())


def processors() -> dict[str, dict[str, str]]:
    """Return what was measured on each processor: figures as text, by processor and title."""
    files: dict[str, Found] = {}
    for name in BY_PROCESSOR:
        for file in sorted(results.FOLDER.glob(f"**/{name}.json")):
            found = json.loads(file.read_text(encoding="utf-8"))
            hardware = found["hardware"]
            last_instructions = hardware["instructions"].rpartition(" ")[2]
            processor = f"{hardware['processor']}, {last_instructions}"
            files.setdefault(processor, {})[name] = found
    return {processor: dict(_figures(files[processor])) for processor in sorted(files)}


def _figures(found: Found) -> Iterator[tuple[str, str]]:
    for precision, figures in found.get("serving", {}).get("summary", {}).items():
        share = figures["saturated_share_of_bare_loop"]
        yield f"saturated, of the bare loop, {precision}", f"{share:.0%}"
    for peer, ratios in found.get("peers", {}).get("ratios", {}).items():
        yield f"throughput over {peer}", f"{ratios['throughput']:.2f}"
    if "precision" in found:
        clip = found["precision"]["times_as_fast_as_float32"]["one clip of 5 s"]
        yield "int8 over float32, one clip", f"{clip['int8']['ratio']:.2f}"
    if "front_end" in found:
        share = found["front_end"]["front_end_of_the_rest"]
        yield "the log-mel, of the rest of the encoder", f"{share:.1%}"
    for step, figures in steps(found.get("training_step", {})).items():
        share = figures["share_of_arithmetic_limit"]
        yield f"training step, {step}, of the limit", f"{share:.0%}"


if __name__ == "__main__":
    main()
