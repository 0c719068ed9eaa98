from __future__ import annotations

from tiny_results import bgknown, encoder

from training.reports.rows import comparable, full_name, others, setup_key, trained_cleanly

CLEAN = bgknown(encoder(0.5, "clean"), 50, 45, 40, 35)
SEEN = bgknown(encoder(0.5, "default"), 55, 50, 45, 40, seen=400)
UNKNOWN = bgknown(encoder(0.5, "unknown"), 55, 50, 45, 40, seen=None)
RANDOM = bgknown(encoder(None, "random:3"), 30, 25, 20, 15)
ROWS = [SEEN, RANDOM, CLEAN, UNKNOWN]


def test_only_encoders_that_saw_no_test_clip_count_for_a_lambda() -> None:
    assert trained_cleanly(ROWS) == comparable(ROWS) == [CLEAN]
    assert others(ROWS) == [RANDOM, SEEN, UNKNOWN]


def test_a_table_over_lambda_holds_runs_of_equal_compute() -> None:
    base, longer = (bgknown(encoder(0.0, name), 50, 45, 40, 35) for name in ("base", "longer"))
    longer["encoder"]["samples_seen"] = 500_000
    rows = [longer, *ROWS, base]
    assert comparable(rows) == [CLEAN, base]
    assert others(rows) == [longer, RANDOM, SEEN, UNKNOWN]


def test_a_name_states_the_training_and_its_overlap_with_the_test() -> None:
    assert full_name(CLEAN) == "`clean` (λ 0.5, 100,000 samples, seed 42)"
    assert "50% of the test clips" in full_name(SEEN)
    assert "not known whether" in full_name(UNKNOWN)
    assert full_name(RANDOM) == "random initialisation, seed 3"


def test_a_setting_that_was_added_later_has_its_default_in_older_rows() -> None:
    before, after, other = (bgknown(encoder(0.5, "run"), 50, 45, 40, 35) for _ in range(3))
    after["encoder"]["recipe"]["data"] = {"crops": "one"}
    other["encoder"]["recipe"]["data"] = {"crops": "by_length"}
    assert setup_key(before) == setup_key(after) != setup_key(other)
