"""Render ``docs/results/README.md`` from the results files and the default bundle.

    python benchmarks/report.py [FOLDER]

Every figure on that page stands in one of the files it names.
"""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any

import results

from training.reports.render import render

METRICS = {"byol": "L_byol", "difference": "L_diff", "embedding_std": "spread"}


def main() -> None:
    """Render the page."""
    training_step = read("training_step")
    page = render(
        "results",
        demo=read("demo_difference"),
        bundle=json.loads((results.BUNDLE / "bundle.json").read_text(encoding="utf-8")),
        metrics=metric_means(),
        training_step=training_step,
        steps=steps(training_step),
        service=read("service"),
    )
    (results.page_folder() / "README.md").write_text(page, encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """Read a results file."""
    content: dict[str, Any] = json.loads((results.FOLDER / f"{name}.json").read_text("utf-8"))
    return content


def steps(training_step: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of each training step by its loss and its precision."""
    return {
        f"{name.partition(',')[0]}, {figures['precision']}": figures
        for name, figures in training_step.items()
        if isinstance(figures, dict) and "share_of_arithmetic_limit" in figures
    }


def metric_means() -> list[tuple[str, float, float]]:
    """Average the metrics over the first and the last tenth of the shipped encoder's training."""
    text = (results.BUNDLE / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    n = max(1, len(lines) // 10)
    return [
        (title, *(fmean(line[name] for line in part) for part in (lines[:n], lines[-n:])))
        for name, title in METRICS.items()
    ]


if __name__ == "__main__":
    main()
