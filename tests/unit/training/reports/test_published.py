from __future__ import annotations

from statistics import fmean

import pytest

from training.reports import published

AVERAGES = {0.0: 71.95, 0.1: 71.93, 0.2: 71.79, 0.5: 71.49, 0.8: 71.18}
"""The last column of table 3, which is not in the module."""


@pytest.mark.parametrize("value", published.LAMBDAS)
def test_the_figures_have_the_average_in_the_paper(value: float) -> None:
    cells = [float(cell.split(" ± ")[0]) for cell in published.LINEAR[value]]
    assert len(cells) == len(published.LINEAR_TASKS)
    assert fmean(cells) == pytest.approx(AVERAGES[value], abs=0.006)


def test_the_order_of_the_references_is_the_papers() -> None:
    for figures in published.BGKNOWN.values():
        assert figures["a"] > figures["b"] > figures["c"] > figures["mix"]
