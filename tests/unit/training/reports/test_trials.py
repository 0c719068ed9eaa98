from __future__ import annotations

from tiny_results import encoder, sweep

from training.reports.trials import trials_tables


def lines(*rows: dict[str, object]) -> dict[str, str]:
    table = trials_tables(rows).splitlines()[2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in table}


def runs(*accuracies: float, **settings: object) -> list[dict[str, object]]:
    return [sweep(encoder(0.5, seed=42 + i), each, **settings) for i, each in enumerate(accuracies)]


def test_a_trial_is_named_by_the_setting_that_is_its_own() -> None:
    rows = [
        *runs(40, 42),
        *runs(45, 46, optim={"batch_size": 64}),
        *runs(37, 43, views={"crop": True}),
    ]
    found = lines(*rows)
    assert set(found) == {"the recipe", "`optim.batch_size=64`", "`views.crop=true`"}
    assert "| 2 | 100,000 | 41.0 |" in found["the recipe"]
    assert "| 45.5 | +4.5 (+5.0, +4.0), seeds agree |" in found["`optim.batch_size=64`"]
    assert "| 40.0 | -1.0 (-3.0, +1.0), undecided |" in found["`views.crop=true`"]
    assert "| 30.0 | 60.0 | 100 to 10 |" in found["the recipe"]


def test_runs_of_one_seed_are_compared() -> None:
    found = lines(*runs(40, 60), *runs(41, optim={"batch_size": 64}))
    assert "| 41.0 | +1.0, undecided |" in found["`optim.batch_size=64`"]


def test_a_gain_smaller_than_what_seeds_differ_by_is_undecided() -> None:
    found = lines(*runs(40, 44), *runs(41, 45, optim={"batch_size": 64}))
    assert "+1.0 (+1.0, +1.0), undecided" in found["`optim.batch_size=64`"]


def test_runs_of_other_seeds_are_not_compared() -> None:
    _, other = runs(60, 41, optim={"batch_size": 64})
    found = lines(*runs(40), other)
    assert "nothing to compare with" in found["`optim.batch_size=64`"]


def test_names_and_seeds_are_no_settings() -> None:
    rows = [*runs(40, 42), *runs(44, name="again")]
    assert list(lines(*rows)) == ["the recipe"]


def test_a_setting_that_came_later_has_its_default_in_older_rows() -> None:
    rows = [
        *runs(40, 42),
        *runs(44, 45, data={"crops": "one"}),
        *runs(50, data={"crops": "by_length"}),
    ]
    assert set(lines(*rows)) == {"the recipe", '`data.crops="by_length"`'}


def test_runs_are_compared_with_those_of_their_own_length() -> None:
    long = [*runs(50, 52), *runs(53, optim={"epochs": 9}, samples_seen=97_000)]
    short = [
        *runs(42, 43, samples_seen=30_000),
        *runs(40, samples_seen=30_000, views={"crop": True}),
    ]
    first, second = trials_tables([*long, *short]).split("\n\n")
    assert "| 30,000 | 40.0 | -2.0, undecided |" in first
    assert "| 51.0 |" in second
    assert "| 53.0 | +3.0, undecided |" in second
