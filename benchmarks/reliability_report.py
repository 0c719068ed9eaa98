"""Render ``docs/results/reliability.md`` from the results files of the long tests.

    python benchmarks/reliability_report.py [FOLDER]

Every figure of this software on that page stands in one of the files it names.
"""

from __future__ import annotations

from collections import Counter

import results
from report import read

from training.reports.render import render

NAMES = (
    "torture",
    "powercut",
    "faults",
    "corruption",
    "fuzz",
    "soak",
    "hostile_clients",
    "decoding",
)


def main() -> None:
    """Render the page."""
    found = {name: read(name) for name in NAMES}
    kinds = found["faults"]["kinds"]
    page = render(
        "reliability",
        **found,
        faults_by_call=by_call(kinds),
        fault_workloads=list(dict.fromkeys(name.split(": ")[0] for name in kinds)),
        fuzzed=by_container(found["fuzz"]["outcomes"]),
    )
    (results.page_folder() / "reliability.md").write_text(page, encoding="utf-8")


def by_call(kinds: dict[str, dict[str, int]]) -> dict[str, Counter[str]]:
    """Add up the faults of all workloads by system call and error.

    Args:
        kinds: Numbers of faults by ``WORKLOAD: CALL ERROR``.
    """
    totals: dict[str, Counter[str]] = {}
    for name, row in kinds.items():
        totals.setdefault(name.split(": ")[1], Counter()).update(row)
    return totals


def by_container(outcomes: dict[str, dict[str, int]]) -> list[tuple[str, int, int]]:
    """Return each container with the numbers of its files that were decoded and refused."""
    rows = []
    for name, row in outcomes.items():
        decoded = row.get("decoded", 0)
        rows.append((name, decoded, sum(row.values()) - decoded))
    return rows


if __name__ == "__main__":
    main()
