from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.words.figures import mean, ratio


def test_a_mean_lies_in_its_interval_which_narrows_with_more_queries() -> None:
    random = np.random.default_rng(0)
    widths = []
    for n in (20, 2000):
        values = (random.random(n) < 0.3).astype(float)
        figure = mean(values)
        low, high = figure["interval_95"]
        assert low <= figure["value"] <= high
        assert figure["value"] == pytest.approx(values.mean(), abs=1e-4)
        assert figure["queries"] == n
        widths.append(high - low)
    assert widths[1] < 0.2 * widths[0]


def test_the_interval_of_a_mean_is_about_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(5, 2, 1000)
    low, high = mean(values)["interval_95"]
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(1000), rel=0.1)


def test_no_queries_have_no_mean() -> None:
    assert mean([]) == {"value": None, "interval_95": None, "queries": 0}


def test_a_ratio_is_of_sums_over_the_same_queries() -> None:
    below = np.array([1.0, 2, 3, 4, 5])
    figure = ratio(below / 2, below)
    assert figure == {"value": 0.5, "interval_95": [0.5, 0.5], "queries": 5}
    assert ratio(below, np.zeros(5))["value"] is None
