"""Renders ``paper.md`` from the results files: the paper's tables beside what was measured here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from training.evaluation.measure import BGKNOWN, LINEAR, SEPARATION, SWEEP
from training.evaluation.tasks import TASKS
from training.reports import paper
from training.reports.evaluation_plots import (
    TITLES,
    draw_bgknown,
    draw_separation,
    separation_picture,
)
from training.reports.kept import kept_table
from training.reports.rows import (
    Row,
    accuracy,
    encoder_name,
    heard_note,
    name,
    others,
    runs_of,
    samples,
    table,
    weight,
)
from training.reports.trials import trials_tables
from training.reports.verdicts import (
    bgknown_verdicts,
    height_verdicts,
    separation_verdict,
    untrained_verdicts,
)
from training.results import read_rows

PAGE = "paper.md"
BGKNOWN_PICTURE = "bgknown.png"
MISSING = "not yet trained"
# A sweep over settings writes its results apart, so that tables 1 and 3 stay those of one recipe.
TRIALS = f"trials/{SWEEP}"

TEXT = """# The paper's experiments

Made by `minuend-train evaluate report` from the files beside this page, each row of which names
its command, commit, data and machine. The paper trained for 100 epochs on 200,000 clips of
AudioSet; the encoders here have heard the samples that are named, of far fewer clips, so compare
orders and gains, not heights. Intervals are 95 %, by Student's t, over three
runs of the classifier. Encoders are normalised by the statistics inside the bundle, as they are
served, and not by those of each data set as in the paper, unless a row says so.

## What was reproduced

{verdicts}

## Table 1: Background-known ESC-50

Accuracy [%]. {bgknown_data} [bgknown.json](bgknown.json)

{bgknown}
{by_accuracy}{by_coefficient}{kept}
![Accuracy over lambda](bgknown.png)

## Table 3: linear evaluation

Accuracy [%] of the paper, and of what could be had here. [linear.json](linear.json)

{linear_paper}

{linear}

Data sets that are not here have preparers (`minuend-train data prepare`), tested on small trees of
the same shape, and were not run: {absent}.

## Separability

A is added to B, at -10 to 10 dB over it; A is then searched for among the other clips, B left out,
by the mixture and by what is left when the part w of B is taken away. No encoder has heard any of
the clips, or of their recordings. [separation.json](separation.json)

{separation}

{pictures}
"""

BY_ACCURACY = """
The classifier above keeps the epoch of the lowest validation loss, as the paper says. The same with
the epoch of the highest validation accuracy, as the code of the paper's baseline has it:

{table}

{verdicts}
"""

BY_COEFFICIENT = """
All of the reference is taken away above, as in the paper; in pre-training it is 0.4 to 0.6 of it.
The same encoders with less of it, by validation accuracy:

{table}
"""

KEPT = """
(a) rises with λ where more of the clean accuracy (ESC-50, the same folds) is left after the
background came and went, and falls where λ costs clean accuracy. Both for runs of as many
samples, (a) by validation accuracy; the paper's clean accuracy is of all five folds:

{table}
"""

TRIALS_TEXT = """
## Recipes tried

Runs of as many samples that differ in a setting; (a) and Mix are by validation accuracy. A step
with the symmetric loss takes longer than the others: [training_step.json](training_step.json).
Against the recipe, runs of one seed are compared, which begin with the same weights and, in
batches of one size, hear the same crops: the mean of the differences, and that of each seed. A
difference counts where no seed of the one lies between those of the other; with fewer than two
seeds a side it is undecided.
[{file}]({file})

{trials}
"""


def write_report(results: Path) -> Path:
    """Write the page and its pictures.

    Args:
        results: Folder of the results files; the page is written into it.

    Returns:
        The page.

    Raises:
        DatasetError: A results file is none.
    """
    bgknown, linear, separation = (
        read_rows(results / file) for file in (BGKNOWN, LINEAR, SEPARATION)
    )
    separation = _by_lambda(separation)
    whole = [row for row in bgknown if row["key"]["coefficient"] == 1.0]
    by_loss, by_accuracy = (
        [row for row in whole if row["key"]["monitor"] == monitor]
        for monitor in ("loss", "accuracy")
    )
    results.mkdir(parents=True, exist_ok=True)
    draw_bgknown(results / BGKNOWN_PICTURE, by_loss, by_accuracy)
    for row in separation:
        draw_separation(results / separation_picture(row), row)
    verdicts = [
        *bgknown_verdicts(by_loss),
        separation_verdict(separation),
        *untrained_verdicts(linear),
        *height_verdicts(by_loss, linear),
    ]
    run = {row["task"] for row in linear}
    sweep = read_rows(results / SWEEP)
    kept = kept_table(sweep)
    page = TEXT.format(
        verdicts=_listed(verdicts),
        bgknown_data=_bgknown_data(by_loss),
        bgknown=table(_bgknown_head(), _bgknown_rows(by_loss)),
        by_accuracy=_by_accuracy(by_accuracy) if by_accuracy else "",
        by_coefficient=_by_coefficient(bgknown),
        kept=KEPT.format(table=kept) if kept else "",
        linear_paper=_linear_paper(),
        linear=_linear_table(linear),
        absent=", ".join(TASKS[task].title for task in paper.LINEAR_TASKS if task not in run),
        separation=_separation_table(separation),
        pictures="\n".join(f"![{name(row)}]({separation_picture(row)})\n" for row in separation),
    )
    if trials := read_rows(results / TRIALS):
        tried = {weight(row) for row in trials}
        base = [row for row in sweep if weight(row) in tried]
        page += TRIALS_TEXT.format(file=TRIALS, trials=trials_tables([*base, *trials]))
    (results / PAGE).write_text(page.rstrip() + "\n", encoding="utf-8")
    return results / PAGE


def _listed(verdicts: Iterable[str]) -> str:
    return "\n".join(f"- {verdict}" for verdict in verdicts)


def _by_accuracy(rows: Sequence[Row]) -> str:
    return BY_ACCURACY.format(
        table=table(_bgknown_head(), _bgknown_rows(rows)), verdicts=_listed(bgknown_verdicts(rows))
    )


def _by_coefficient(rows: Sequence[Row]) -> str:
    """Compare what is left of encoders by how much of the reference was taken away."""
    less = {row["key"]["encoder"] for row in rows if row["key"]["coefficient"] != 1.0}
    if not less:
        return ""
    chosen = [
        row for row in rows if row["key"]["encoder"] in less and row["key"]["monitor"] == "accuracy"
    ]
    chosen.sort(key=lambda row: (name(row), row["key"]["coefficient"]))
    lines = (
        (
            name(row),
            f"{row['key']['coefficient']:g}",
            *(accuracy(row["accuracy"][s]) for s in TITLES if s != "mix"),
        )
        for row in chosen
    )
    head = ("encoder", "of the reference", *(title for s, title in TITLES.items() if s != "mix"))
    return BY_COEFFICIENT.format(table=table(head, lines))


def _bgknown_head() -> Sequence[str]:
    ours = [f"{title} here" for title in TITLES.values()]
    return ("λ or encoder", *(f"{title} paper" for title in TITLES.values()), *ours)


def _bgknown_rows(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    for value in paper.LAMBDAS:
        theirs = [f"{paper.BGKNOWN[value][setting]:.2f}" for setting in TITLES]
        found = runs_of(rows, value)
        if not found:
            yield (f"{value:g}", *theirs, *([MISSING] * len(TITLES)))
        for row in found:
            yield (name(row), *theirs, *(accuracy(row["accuracy"][s]) for s in TITLES))
    for row in others(rows):
        yield (name(row), *([""] * len(TITLES)), *(accuracy(row["accuracy"][s]) for s in TITLES))


def _bgknown_data(rows: Sequence[Row]) -> str:
    if not rows:
        return "Not measured yet."
    data = rows[-1]["data"]
    sides = [
        f"{figures['events']} events in {figures['background_recordings']} background recordings "
        f"to {'train' if side == 'train' else 'test'} with"
        for side, figures in data["sides"].items()
    ]
    bent = " (many excerpts of each)" if data["sides"]["train"]["with_replacement"] else ""
    return f"{'; '.join(sides)}{bent}; mixed at {data['mixed_at_hz']:,} Hz."


def _linear_paper() -> str:
    head = ("λ", *(TASKS[task].title for task in paper.LINEAR_TASKS))
    return table(head, ((f"{value:g}", *paper.LINEAR[value]) for value in paper.LAMBDAS))


def _linear_table(rows: Sequence[Row]) -> str:
    """Write a line for each encoder and a column for each task."""
    tasks = sorted({_task(row) for row in rows})
    found: dict[str, dict[str, Row]] = {}
    for row in _by_lambda(rows):
        found.setdefault(encoder_name(row), {})[_task(row)] = row
    lines = (
        (name, *(_cell(by_task[task]) if task in by_task else "" for task in tasks))
        for name, by_task in found.items()
    )
    return table(("encoder", *tasks), lines)


def _task(row: Row) -> str:
    title = TASKS[row["task"]].title if row["task"] in TASKS else f"`{row['task']}`"
    if row["train_folds"]:
        return f"{title}, trained on folds {', '.join(map(str, row['train_folds']))}"
    return f"{title}, five folds" if row["task"] == "esc50" else title


def _cell(row: Row) -> str:
    note = heard_note(row)
    return accuracy(row["accuracy"]) + (f" ({note})" if note else "")


def _separation_table(rows: Sequence[Row]) -> str:
    """Write a line for each encoder and a column for each level of A."""
    levels = sorted({snr_db for row in rows for snr_db in row["by_snr_db_and_weight"]}, key=float)
    ranks = [f"median rank, A at {float(snr_db):g} dB" for snr_db in levels]
    head = ("encoder", "w", *ranks, "A first, at 0 dB", "cosine gained, at 0 dB")
    return table(head, (_separation_line(row, levels) for row in rows))


def _separation_line(row: Row, levels: Sequence[str]) -> Sequence[str]:
    w = f"{row['reference_weight']:g}"
    by_level = row["by_snr_db_and_weight"]
    before, after = by_level["0"]["0"], by_level["0"][w]
    return (
        encoder_name(row),
        w,
        *(_ranks(by_level[snr_db]["0"], by_level[snr_db][w]) for snr_db in levels),
        f"{before['first']:.1%} to {after['first']:.1%}",
        f"{after['cosine'] - before['cosine']:+.3f}",
    )


def _ranks(before: dict[str, float], after: dict[str, float]) -> str:
    return f"{before['median_rank']:g} to {after['median_rank']:g}"


def _by_lambda(rows: Iterable[Row]) -> list[Row]:
    """Put what was never trained first, then what was, by lambda and by what it has heard."""

    def place(row: Row) -> tuple[bool, float, int, str]:
        return weight(row) is not None, weight(row) or 0.0, samples(row), row["encoder"]["id"]

    return sorted(rows, key=place)
