from __future__ import annotations

from tiny_results import bgknown, encoder, linear, separation

from training.reports.verdicts import (
    bgknown_verdicts,
    height_verdicts,
    separation_verdict,
    untrained_verdicts,
)

BASE = bgknown(encoder(0.0, "base"), 50, 48, 44, 40)
OTHER_BASE = bgknown(encoder(0.0, "base", seed=43), 52, 48, 44, 40)
GOOD = bgknown(encoder(0.5, "good"), 55, 50, 45, 40)


def test_what_is_missing_is_said_first() -> None:
    first, *rest = bgknown_verdicts([BASE, GOOD])
    assert first == "Table 1 is not complete: λ 0.1, 0.2, 0.8 not yet trained."
    assert len(rest) == 3
    assert list(bgknown_verdicts([])) == [
        "Table 1 is not complete: λ 0, 0.1, 0.2, 0.5, 0.8 not yet trained."
    ]


def test_the_order_is_judged_by_the_figures() -> None:
    assert "λ 0.5: the order (a) > (b) > (c) > Mix holds: 55.0 > 50.0 > 45.0 > 40.0." in list(
        bgknown_verdicts([GOOD])
    )
    bad = bgknown(encoder(0.5, "bad"), 40, 50, 45, 40)
    said = list(bgknown_verdicts([bad]))[1]
    assert said == (
        "λ 0.5: the order (a) > (b) > (c) > Mix does not hold: "
        "(a) 40.0, (b) 50.0, (c) 45.0, Mix 40.0."
    )


def test_the_gain_is_over_the_mean_of_the_baselines() -> None:
    said = list(bgknown_verdicts([BASE, OTHER_BASE, GOOD]))[-1]
    assert "1 and 2 runs of pre-training" in said
    assert "a +4.0 (paper +3.7)" in said
    assert "mix +0.0 (paper +0.1)" in said


def test_runs_of_unequal_compute_are_not_compared() -> None:
    longer = bgknown(encoder(0.5, "longer") | {"samples_seen": 500_000}, 60, 50, 45, 40)
    assert list(bgknown_verdicts([BASE, longer])) == list(bgknown_verdicts([BASE]))
    assert list(bgknown_verdicts([BASE, longer, GOOD])) == list(bgknown_verdicts([BASE, GOOD]))
    said = list(bgknown_verdicts([longer]))[-1]
    assert said == "λ 0.5: no run of λ 0 of the same recipe and samples to compare with."


def test_the_heights_are_those_of_the_encoder_that_heard_most() -> None:
    long = encoder(0.2, "long") | {"samples_seen": 500_000}
    heard = encoder(0.2, "heard") | {"samples_seen": 900_000}
    untrained = bgknown(encoder(None, "random:0"), 40, 35, 30, 31)
    rows = [GOOD, bgknown(long, 52.5, 50, 45, 40), bgknown(heard, 80, 1, 1, 1, heard=9), untrained]
    tasks = [linear(long, "esc50", 71.25, train_folds=[1, 2, 3]), linear(long, "other", 9.0)]
    assert list(height_verdicts(rows, tasks)) == [
        "`long` (λ 0.2, 500,000 samples, seed 42): 71.2 % on ESC-50, 72 aimed at.",
        "`long` (λ 0.2, 500,000 samples, seed 42): +12.5 points at (a) over random initialisation, "
        "seed 0, +12 aimed at.",
    ]
    assert list(height_verdicts([untrained], tasks)) == []


def test_half_the_rank_is_met_or_not() -> None:
    rows = [
        separation(encoder(0.5, "good"), 20, 10),
        separation(encoder(0.0, "poor"), 20, 11),
        separation(encoder(None, "log-mel"), 20, 1),
    ]
    said = separation_verdict(rows)
    assert "`good` 20 to 10, met; `poor` 20 to 11, not met." in said
    assert "log-mel" not in said
    assert "not yet measured" in separation_verdict([])


def test_a_task_that_random_initialisation_does_better_at_is_named() -> None:
    run, random = encoder(0.5, "run"), encoder(None, "random:0")
    rows = [
        linear(run, "words", 80.0, train_folds=None),
        linear(run, "notes", 40.0, train_folds=None),
        linear(random, "words", 85.0, train_folds=None),
        linear(random, "notes", 30.0, train_folds=None),
    ]
    (said,) = untrained_verdicts(rows)
    assert "On `words` random initialisation, seed 0 beats" in said
    assert "85.0 %, `run` 80.0 %" in said
