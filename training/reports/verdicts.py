"""What the results say of the paper's claims, in sentences that only figures decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

from training.reports import paper
from training.reports.rows import Row, encoder_name, runs_of, samples, trained_cleanly, weight

ORDER = ("a", "b", "c", "mix")
BASELINE = 0.0
ESC50_AIM, RANDOM_AIM = 72, 12  # percent on ESC-50, points at (a) over random initialisation


def bgknown_verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """Judge the order of the references, and the gain over lambda 0 at each of them."""
    by_weight = {value: runs_of(rows, value) for value in paper.LAMBDAS}
    trained = [value for value, runs in by_weight.items() if runs]
    missing = [f"{value:g}" for value in paper.LAMBDAS if value not in trained]
    if missing:
        yield f"Table 1 is not complete: λ {', '.join(missing)} not yet trained."
    for value in trained:
        means = {s: mean_accuracy(by_weight[value], s) for s in ORDER}
        holds = all(means[x] > means[y] for x, y in pairwise(ORDER))
        shown = (
            " > ".join(f"{means[s]:.1f}" for s in ORDER)
            if holds
            else ", ".join(
                f"({s}) {means[s]:.1f}" if s != "mix" else f"Mix {means[s]:.1f}" for s in ORDER
            )
        )
        said = "holds" if holds else "does not hold"
        yield f"λ {value:g}: the order (a) > (b) > (c) > Mix {said}: {shown}."
    for value in trained:
        if value != BASELINE:
            yield _gains(value, by_weight[value], by_weight[BASELINE])


def separation_verdict(rows: Sequence[Row]) -> str:
    """Judge whether subtraction at the bundle's weight halves the median rank at 0 dB."""
    said = []
    for row in rows:
        if weight(row) is None:
            continue
        at_0 = row["by_snr_db_and_weight"]["0"]
        before = at_0["0"]["median_rank"]
        after = at_0[f"{row['reference_weight']:g}"]["median_rank"]
        met = "met" if 2 * after <= before else "not met"
        said.append(f"`{row['encoder']['id']}` {before:g} to {after:g}, {met}")
    found = "; ".join(said) or "not yet measured"
    return f"Subtraction halves the median rank of A at 0 dB on unheard clips: {found}."


def untrained_verdicts(linear: Sequence[Row]) -> Iterator[str]:
    """Name the tasks at which random initialisation beats encoders that were trained."""
    for base in linear:
        if base["encoder"]["kind"] != "random":
            continue
        worse = [
            f"`{row['encoder']['id']}` {row['accuracy']['mean']:.1f} %"
            for row in linear
            if weight(row) is not None
            and (row["task"], row["train_folds"]) == (base["task"], base["train_folds"])
            and row["accuracy"]["mean"] < base["accuracy"]["mean"]
        ]
        if worse:
            yield (
                f"On `{base['task']}` {encoder_name(base)} beats encoders that were trained: "
                f"{base['accuracy']['mean']:.1f} %, {', '.join(worse)}."
            )


def height_verdicts(bgknown: Sequence[Row], linear: Sequence[Row]) -> Iterator[str]:
    """Hold the encoder that heard most, and nothing tested on, against the heights aimed at."""
    clean = trained_cleanly(bgknown)
    if not clean:
        return
    longest = max(clean, key=samples)
    for row in trained_cleanly(linear):
        same = row["key"]["encoder"] == longest["key"]["encoder"]
        if same and row["task"] == "esc50" and row["train_folds"] == [1, 2, 3]:
            yield (
                f"{encoder_name(longest)}: {row['accuracy']['mean']:.1f} % on ESC-50, "
                f"{ESC50_AIM} aimed at."
            )
    for row in bgknown:
        if row["encoder"]["kind"] == "random":
            gain = longest["accuracy"]["a"]["mean"] - row["accuracy"]["a"]["mean"]
            yield (
                f"{encoder_name(longest)}: {gain:+.1f} points at (a) over {encoder_name(row)}, "
                f"{RANDOM_AIM:+d} aimed at."
            )


def mean_accuracy(rows: Sequence[Row], setting: str) -> float:
    """Average one accuracy over encoders [%]."""
    return fmean(row["accuracy"][setting]["mean"] for row in rows)


def _gains(value: float, ours: Sequence[Row], base: Sequence[Row]) -> str:
    if not base:
        return f"λ {value:g}: no run of λ 0 of the same recipe and samples to compare with."
    gains = {s: mean_accuracy(ours, s) - mean_accuracy(base, s) for s in ORDER}
    theirs = {s: paper.BGKNOWN[value][s] - paper.BGKNOWN[BASELINE][s] for s in ORDER}
    shown = ", ".join(f"{s} {gains[s]:+.1f} (paper {theirs[s]:+.1f})" for s in ORDER)
    seeds = f"{len(ours)} and {len(base)} runs of pre-training"
    return f"λ {value:g} over λ 0, in points, {seeds}: {shown}."
