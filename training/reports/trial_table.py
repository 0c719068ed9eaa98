"""Table of trials at equal compute: what subtraction gains in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from training.evaluation.interval import apart
from training.reports.rows import Row, samples_seen
from training.results import read_result

SETTINGS = ("mix", "a", "b", "c")


def read_trials(folder: Path) -> list[Row]:
    """Read the results files of the trials in a folder, in the order of their plan.

    Raises:
        DatasetError: A file is no file of results.
    """
    rows = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return sorted(rows, key=lambda row: (row["order"], row["seed"]))


def trial_lines(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Average each trial over its seeds and compare it with another, seed by seed.

    Args:
        rows: Results of trials, in order.

    Yields:
        The name and the settings; the number of runs and samples; means [%] on ESC-50 (``clean``)
        and on Background-known ESC-50 by validation accuracy; ``gains`` of subtraction of each
        seed, (a) less Mix in points; mean median ranks of A at 0 dB by the mixture and by the
        difference; ``over``, differences of each seed in (a) from the trial ``against``, and
        ``decided``, whether no run of the one lies between those of the other.
    """
    trials: dict[str, list[Row]] = {}
    for row in rows:
        trials.setdefault(row["trial"], []).append(row)
    for name, runs in trials.items():
        against = trials.get(runs[0]["against"], ())
        base = {row["seed"]: _accuracy(row, "a") for row in against}
        pairs = [(_accuracy(row, "a"), base[row["seed"]]) for row in runs if row["seed"] in base]
        ours, theirs = zip(*pairs, strict=True) if pairs else ((), ())
        yield {
            "trial": name,
            **{name: runs[0][name] for name in ("settings", "after", "against")},
            "runs": len(runs),
            "samples": samples_seen(runs[0]),
            "clean": fmean(row["esc50_folds_1_3_to_4_5"]["mean"] for row in runs),
            **{s: fmean(_accuracy(row, s) for row in runs) for s in SETTINGS},
            "gains": [_accuracy(row, "a") - _accuracy(row, "mix") for row in runs],
            "ranks": [
                fmean(row["separation_at_0_db"][query]["median_rank"] for row in runs)
                for query in ("mixture", "difference")
            ],
            "over": [a - b for a, b in pairs],
            "decided": len(pairs) > 1 and apart(ours, theirs),
        }


def _accuracy(row: Row, setting: str) -> float:
    return float(row["bgknown_by_accuracy"][setting]["mean"])
