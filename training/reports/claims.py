"""Claims of the paper, and aims of ours, compared with the figures of results files.

Each function returns figures and whether they meet a claim; the templates write the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from training.reports import published
from training.reports.rows import (
    Row,
    encoder_name,
    lambda_of,
    runs_of,
    samples_seen,
    trained_cleanly,
)

SETTINGS = ("a", "b", "c", "mix")
ORDER = tuple(pairwise(SETTINGS))  # in the paper, each is better than the next
BASELINE = 0.0
ESC50_AIM, RANDOM_AIM = 72, 12  # percent on ESC-50, points at (a) over random initialisation


def bgknown_claims(rows: Sequence[Row]) -> dict[str, Any]:
    """Compare Background-known ESC-50 with table 1.

    Args:
        rows: Of ``bgknown.json``, of one kind of early stopping and the whole reference.

    Returns:
        ``missing``: lambdas without a run. ``orders``: of each lambda the mean accuracies [%] and
        whether (a) > (b) > (c) > Mix holds. ``gains``: of each lambda above 0 the number of runs
        and, where there are runs of lambda 0, gains over them in points, ours and the paper's.
    """
    runs = {value: runs_of(rows, value) for value in published.LAMBDAS}
    means = {
        value: {s: fmean(row["accuracy"][s]["mean"] for row in of_value) for s in SETTINGS}
        for value, of_value in runs.items()
        if of_value
    }
    orders = [
        {"lambda": value, "means": ours, "holds": all(ours[x] > ours[y] for x, y in ORDER)}
        for value, ours in means.items()
    ]
    base, published_base = means.get(BASELINE), published.BGKNOWN[BASELINE]
    gains = [
        {
            "lambda": value,
            "runs": len(runs[value]),
            "baseline_runs": len(runs[BASELINE]),
            "points": [
                (s, ours[s] - base[s], published.BGKNOWN[value][s] - published_base[s])
                for s in SETTINGS
            ]
            if base
            else [],
        }
        for value, ours in means.items()
        if value != BASELINE
    ]
    missing = [value for value in published.LAMBDAS if not runs[value]]
    return {"missing": missing, "orders": orders, "gains": gains}


def separation_claims(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Check for each trained encoder whether subtraction halves the median rank at 0 dB."""
    found = []
    for row in rows:
        if lambda_of(row) is not None:
            at_0_db = row["by_snr_db_and_weight"]["0"]
            before = at_0_db["0"]["median_rank"]
            after = at_0_db[f"{row['reference_weight']:g}"]["median_rank"]
            named = {"encoder": row["encoder"]["id"], "before": before, "after": after}
            found.append({**named, "met": 2 * after <= before})
    return found


def worse_than_untrained(linear: Sequence[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Find the tasks at which random initialisation beats trained encoders.

    Yields:
        The row of random initialisation, and those of the encoders that are worse.
    """
    for base in linear:
        if base["encoder"]["kind"] == "random":
            worse = [
                row
                for row in linear
                if lambda_of(row) is not None
                and (row["task"], row["train_folds"]) == (base["task"], base["train_folds"])
                and row["accuracy"]["mean"] < base["accuracy"]["mean"]
            ]
            if worse:
                yield base, worse


def longest_trained(bgknown: Sequence[Row], linear: Sequence[Row]) -> dict[str, Any]:
    """Compare the encoder of the most samples, among those that saw no test clip, with the aims.

    Returns:
        Its name, its accuracies on ESC-50 [%], and its gains in points at (a) over each random
        initialisation; empty without such an encoder.
    """
    longest = max(trained_cleanly(bgknown), key=samples_seen, default=None)
    if longest is None:
        return {}
    return {
        "name": encoder_name(longest),
        "esc50": [
            row["accuracy"]["mean"]
            for row in trained_cleanly(linear)
            if row["key"]["encoder"] == longest["key"]["encoder"]
            and (row["task"], row["train_folds"]) == ("esc50", [1, 2, 3])
        ],
        "over_random": [
            (encoder_name(row), longest["accuracy"]["a"]["mean"] - row["accuracy"]["a"]["mean"])
            for row in bgknown
            if row["encoder"]["kind"] == "random"
        ],
        "esc50_aim": ESC50_AIM,
        "random_aim": RANDOM_AIM,
    }
