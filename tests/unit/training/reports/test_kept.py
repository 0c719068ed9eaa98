from __future__ import annotations

from tiny_results import encoder, sweep

from training.reports.kept import kept_table


def test_what_is_left_of_the_clean_accuracy_stands_beside_the_papers() -> None:
    rows = [
        sweep(encoder(0.8), 48),
        sweep(encoder(0.0), 30),
        sweep(encoder(0.0, seed=43), 36),
        sweep(encoder(0.5), 59, samples_seen=500_000),
    ]
    assert kept_table(rows).splitlines()[2:] == [
        "| 0 | 2 | 60.0 | 33.0 | 55.0% | 82.7 | 55.3 | 66.9% |",
        "| 0.8 | 1 | 60.0 | 48.0 | 80.0% | 80.8 | 60.0 | 74.2% |",
    ]


def test_one_lambda_has_nothing_to_be_compared_with() -> None:
    assert kept_table([]) == ""
    assert kept_table([sweep(encoder(0.5), 40), sweep(encoder(0.5, seed=43), 41)]) == ""
