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


def test_figures_are_written_and_the_text_ends_with_one_newline() -> None:
    text = render("card_change", info=FIGURES)
    assert "fitted to 12 recordings" in text
    assert "95% of unchanged pairs" in text
    assert text.endswith("covered.\n")


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_figure_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError):
        render("card_change", info={key: it for key, it in FIGURES.items() if key != name})
