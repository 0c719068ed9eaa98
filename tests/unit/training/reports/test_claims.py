from __future__ import annotations

import pytest
from tiny_results import bgknown, encoder, linear, separation

from training.reports.claims import (
    bgknown_claims,
    longest_trained,
    separation_claims,
    worse_than_untrained,
)

BASE = bgknown(encoder(0.0, "base"), 50, 48, 44, 40)
OTHER_BASE = bgknown(encoder(0.0, "base", seed=43), 52, 48, 44, 40)
GOOD = bgknown(encoder(0.5, "good"), 55, 50, 45, 40)


def test_lambdas_without_a_run_are_missing() -> None:
    assert bgknown_claims([BASE, GOOD])["missing"] == [0.1, 0.2, 0.8]
    assert bgknown_claims([]) == {"missing": [0, 0.1, 0.2, 0.5, 0.8], "orders": [], "gains": []}


@pytest.mark.parametrize(("a", "holds"), [(55, True), (40, False), (50, False)])
def test_the_figures_decide_whether_the_order_holds(a: float, holds: bool) -> None:
    (order,) = bgknown_claims([bgknown(encoder(0.5), a, 50, 45, 40)])["orders"]
    assert order == {
        "lambda": 0.5,
        "means": {"a": a, "b": 50, "c": 45, "mix": 40},
        "holds": holds,
    }


def test_the_gain_is_over_the_mean_of_the_baselines() -> None:
    (gain,) = bgknown_claims([BASE, OTHER_BASE, GOOD])["gains"]
    assert (gain["runs"], gain["baseline_runs"]) == (1, 2)
    points = {setting: figures for setting, *figures in gain["points"]}
    assert points["a"] == pytest.approx([4.0, 58.96 - 55.29])
    assert points["mix"] == pytest.approx([0.0, 47.33 - 47.25])


def test_runs_of_unequal_compute_are_not_compared() -> None:
    longer = bgknown(encoder(0.5, "longer") | {"samples_seen": 500_000}, 60, 50, 45, 40)
    assert bgknown_claims([BASE, longer]) == bgknown_claims([BASE])
    assert bgknown_claims([BASE, longer, GOOD]) == bgknown_claims([BASE, GOOD])
    (gain,) = bgknown_claims([longer])["gains"]
    assert gain["points"] == []


def test_the_aims_are_those_of_the_longest_training_that_saw_no_test_clip() -> None:
    long = encoder(0.2, "long") | {"samples_seen": 500_000}
    seen = encoder(0.2, "seen") | {"samples_seen": 900_000}
    untrained = bgknown(encoder(None, "random:0"), 40, 35, 30, 31)
    rows = [GOOD, bgknown(long, 52.5, 50, 45, 40), bgknown(seen, 80, 1, 1, 1, seen=9), untrained]
    tasks = [linear(long, "esc50", 71.25, train_folds=[1, 2, 3]), linear(long, "other", 9.0)]
    found = longest_trained(rows, tasks)
    assert found["name"] == "`long` (λ 0.2, 500,000 samples, seed 42)"
    assert found["esc50"] == [71.25]
    assert found["over_random"] == [("random initialisation, seed 0", 12.5)]
    assert longest_trained([untrained], tasks) == {}


def test_the_figures_decide_whether_the_rank_is_halved() -> None:
    rows = [
        separation(encoder(0.5, "good"), 20, 10),
        separation(encoder(0.0, "poor"), 20, 11),
        separation(encoder(None, "log-mel"), 20, 1),
    ]
    found = [(it["encoder"], it["met"]) for it in separation_claims(rows)]
    assert found == [("good", True), ("poor", False)]


def test_tasks_at_which_random_initialisation_is_better_are_found() -> None:
    run, random = encoder(0.5, "run"), encoder(None, "random:0")
    better = linear(random, "words", 85.0)
    worse = linear(run, "words", 80.0)
    rows = [worse, linear(run, "notes", 40.0), better, linear(random, "notes", 30.0)]
    assert list(worse_than_untrained(rows)) == [(better, [worse])]
