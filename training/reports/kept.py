"""What lambda gives and takes: how much of the accuracy on clean clips is left at (a)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from training.reports import paper
from training.reports.rows import Row, of_equal_compute, table, weight

HEAD = (
    "λ",
    "runs",
    "clean here",
    "(a) here",
    "(a) of clean here",
    "clean paper",
    "(a) paper",
    "(a) of clean paper",
)


def kept_table(rows: Sequence[Row]) -> str:
    """Compare the lambdas of a sweep; nothing without a run of lambda 0 and one of another.

    Args:
        rows: Of ``sweep.json``.
    """
    runs: dict[float, list[Row]] = {}
    for row in of_equal_compute(rows):
        runs.setdefault(float(weight(row) or 0.0), []).append(row)
    known = sorted(value for value in runs if value in paper.LAMBDAS)
    if len(known) < 2:
        return ""
    return table(HEAD, (_line(value, runs[value]) for value in known))


def _line(value: float, runs: Sequence[Row]) -> Sequence[str]:
    clean = fmean(row["esc50_folds_1_3_to_4_5"]["mean"] for row in runs)
    at_a = fmean(row["bgknown_by_accuracy"]["a"]["mean"] for row in runs)
    their_clean = float(paper.LINEAR[value][paper.LINEAR_TASKS.index("esc50")].split()[0])
    theirs = paper.BGKNOWN[value]["a"]
    return (
        f"{value:g}",
        str(len(runs)),
        f"{clean:.1f}",
        f"{at_a:.1f}",
        f"{at_a / clean:.1%}",
        f"{their_clean:.1f}",
        f"{theirs:.1f}",
        f"{theirs / their_clean:.1%}",
    )
