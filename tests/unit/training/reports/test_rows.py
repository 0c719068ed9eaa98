from __future__ import annotations

from tiny_results import bgknown, encoder

from training.reports.rows import accuracy, name, others, plan, swept, table, trained_cleanly

CLEAN = bgknown(encoder(0.5, "clean"), 50, 45, 40, 35)
HEARD = bgknown(encoder(0.5, "default"), 55, 50, 45, 40, heard=400)
UNKNOWN = bgknown(encoder(0.5, "unknown"), 55, 50, 45, 40, heard=None)
RANDOM = bgknown(encoder(None, "random:3"), 30, 25, 20, 15)
ROWS = [HEARD, RANDOM, CLEAN, UNKNOWN]


def test_only_encoders_that_heard_nothing_tested_on_count_for_a_lambda() -> None:
    assert trained_cleanly(ROWS) == swept(ROWS) == [CLEAN]
    assert others(ROWS) == [RANDOM, HEARD, UNKNOWN]


def test_a_table_over_lambda_holds_runs_of_equal_compute() -> None:
    base, longer = (bgknown(encoder(0.0, name), 50, 45, 40, 35) for name in ("base", "longer"))
    longer["encoder"]["samples_seen"] = 500_000
    rows = [longer, *ROWS, base]
    assert swept(rows) == [CLEAN, base]
    assert others(rows) == [longer, RANDOM, HEARD, UNKNOWN]


def test_a_name_says_what_a_reader_must_know() -> None:
    assert name(CLEAN) == "`clean` (λ 0.5, 100,000 samples, seed 42)"
    assert "50% of the test clips heard in pre-training, without labels" in name(HEARD)
    assert "not known whether" in name(UNKNOWN)
    assert name(RANDOM) == "random initialisation, seed 3"
    assert name(bgknown(encoder(None, "log-mel"), 1, 1, 1, 1)).startswith("log-mel, mean")


def test_a_setting_that_came_later_makes_no_other_plan() -> None:
    before, after, other = (bgknown(encoder(0.5, "run"), 50, 45, 40, 35) for _ in range(3))
    after["encoder"]["recipe"]["data"] = {"crops": "one"}
    other["encoder"]["recipe"]["data"] = {"crops": "by_length"}
    assert plan(before) == plan(after) != plan(other)


def test_tables_are_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert accuracy({"mean": 1.234, "interval_95": 0.5}) == "1.23 ± 0.50"
