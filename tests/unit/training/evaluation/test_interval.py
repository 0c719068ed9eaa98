from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.evaluation.interval import apart, estimate, summarise


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_is_students(n: int) -> None:
    runs = np.random.default_rng(n).normal(50.0, 2.0, n)
    low, high = stats.t.interval(0.95, n - 1, loc=runs.mean(), scale=stats.sem(runs))
    mean, half_width = estimate(runs.tolist())
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_one_run_has_no_interval() -> None:
    assert estimate([0.5])[1] == 0.0
    assert summarise([0.5]) == {"mean": 50.0, "interval_95": 0.0, "runs": [50.0]}


@pytest.mark.parametrize(
    ("theirs", "expected"), [((3.0, 4.0), True), ((0.0, 0.5), True), ((1.5, 4.0), False)]
)
def test_runs_are_apart_if_they_do_not_overlap(theirs: tuple[float, float], expected: bool) -> None:
    assert apart((1.0, 2.0), theirs) is expected
