from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from training.reports.render import render

FIGURES = {
    "scores": {"recordings": 12},
    "excerpt_s": 5.0,
    "commit": "abc",
    "false_alarm_rate": 0.05,
    "data": [],
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_figure_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError):
        render("card_change", info={key: it for key, it in FIGURES.items() if key != name})
