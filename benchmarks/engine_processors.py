"""The table of ``docs/results/engine.md`` that sets processors side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import results
from engine_aims import steps

Found = dict[str, dict[str, Any]]
"""The results files of one processor, by name."""


NAMES = ("front_end", "peers", "precision", "serving", "training_step")
"""The benchmarks that are kept by processor."""


def processors_table() -> str:
    """Render what was measured on each processor; what was not is left empty."""
    processors: dict[str, Found] = {}
    for name in NAMES:
        for file in sorted(results.FOLDER.glob(f"**/{name}.json")):
            found = json.loads(file.read_text(encoding="utf-8"))
            processors.setdefault(processor(found), {})[name] = found
    columns = {head: dict(figures(processors[head])) for head in sorted(processors)}
    fullest_first = sorted(columns.values(), key=len, reverse=True)
    rows = dict.fromkeys(row for column in fullest_first for row in column)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [
        f"| {row} | {' | '.join(it.get(row, '') for it in columns.values())} |" for row in rows
    ]
    return "\n".join(lines)


def processor(found: dict[str, Any]) -> str:
    """Name the processor of a result."""
    hardware = found["hardware"]
    return f"{hardware['processor']}, {hardware['instructions'].rpartition(' ')[2]}"


def figures(found: Found) -> Iterator[tuple[str, str]]:
    """Yield what a row is called, and its figure."""
    for precision, it in found.get("serving", {}).get("summary", {}).items():
        yield (
            f"saturated, of the bare loop, {precision}",
            f"{it['saturated_share_of_bare_loop']:.0%}",
        )
    for peer, ratios in found.get("peers", {}).get("ratios", {}).items():
        yield f"throughput over {peer}", f"{ratios['throughput']:.2f}"
    if "precision" in found:
        clip = found["precision"]["times_as_fast_as_float32"]["one clip of 5 s"]
        yield "int8 over float32, one clip", f"{clip['int8']['ratio']:.2f}"
    if "front_end" in found:
        share = found["front_end"]["front_end_of_the_rest"]
        yield "the log-mel, of the rest of the encoder", f"{share:.1%}"
    for step, it in steps(found.get("training_step", {})).items():
        yield f"training step, {step}, of the limit", f"{it['share_of_arithmetic_limit']:.0%}"
