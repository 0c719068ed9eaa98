from __future__ import annotations

from typing import Any

import pytest
from tiny_results import encoder, sweep

from training.reports.sweep_tables import retained_accuracy, settings_tables

Rows = list[dict[str, Any]]


def runs(*accuracies: float, **settings: object) -> Rows:
    return [sweep(encoder(0.5, seed=42 + i), a, **settings) for i, a in enumerate(accuracies)]


def lines(*rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (table,) = settings_tables(rows)
    return {line["settings"]: line for line in table}


def test_a_line_is_named_by_the_settings_that_are_its_own() -> None:
    rows = [*runs(40, 42), *runs(45, 46, optim={"batch_size": 64}), *runs(37, 43, views={"x": 1})]
    found = lines(*rows)
    assert set(found) == {"", "optim.batch_size=64", "views.x=1"}
    assert (found[""]["runs"], found[""]["samples"], found[""]["a"]) == (2, 100_000, 41)
    better, undecided = found["optim.batch_size=64"], found["views.x=1"]
    assert (better["a"], better["gains"], better["decided"]) == (45.5, [5, 4], True)
    assert (undecided["a"], undecided["gains"], undecided["decided"]) == (40, [-3, 1], False)
    assert found[""]["ranks"] == [100, 10]


@pytest.mark.parametrize(
    ("base", "other", "gains"),
    [
        (runs(40, 60), runs(41, optim={"batch_size": 64}), [1]),
        (runs(40, 44), runs(41, 45, optim={"batch_size": 64}), [1, 1]),
        (runs(40), runs(60, 41, optim={"batch_size": 64})[1:], []),
    ],
)
def test_runs_of_one_seed_are_compared_and_need_two_seeds_to_decide(
    base: Rows, other: Rows, gains: list[float]
) -> None:
    found = lines(*base, *other)["optim.batch_size=64"]
    assert found["gains"] == gains
    assert not found["decided"]


def test_names_seeds_and_defaults_are_no_settings_of_their_own() -> None:
    rows = [*runs(40, 42), *runs(44, name="again"), *runs(44, 45, data={"crops": "one"})]
    assert set(lines(*rows, *runs(50, data={"crops": "by_length"}))) == {
        "",
        'data.crops="by_length"',
    }


def test_runs_are_compared_with_those_of_their_own_length() -> None:
    long = [*runs(50, 52), *runs(53, optim={"epochs": 9}, samples_seen=97_000)]
    short = [
        *runs(42, 43, samples_seen=30_000),
        *runs(40, samples_seen=30_000, optim={"epochs": 9}),
    ]
    first, second = settings_tables([*long, *short])
    assert [line["samples"] for line in first] == [30_000, 30_000]
    assert [line["gains"] for line in first] == [[0, 0], [-2]]
    assert [line["gains"] for line in second] == [[0, 0], [3]]


def test_the_part_of_the_clean_accuracy_that_is_left_is_compared_with_the_papers() -> None:
    rows = [
        sweep(encoder(0.8), 48),
        sweep(encoder(0.0), 30),
        sweep(encoder(0.0, seed=43), 36),
        sweep(encoder(0.5), 59, samples_seen=500_000),
    ]
    first, second = retained_accuracy(rows)
    assert first == {
        "lambda": 0.0,
        "runs": 2,
        "clean": 60.0,
        "a": 33.0,
        "published_clean": 82.7,
        "published_a": 55.29,
    }
    assert (second["lambda"], second["runs"], second["a"]) == (0.8, 1, 48)


def test_one_lambda_has_nothing_to_be_compared_with() -> None:
    assert retained_accuracy([]) == []
    assert retained_accuracy([sweep(encoder(0.5), 40), sweep(encoder(0.5, seed=43), 41)]) == []
