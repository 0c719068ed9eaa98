from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.words_page import Aim, group_rows, titles, write_page


def row(clips: str, encoder: str = "abcdef", **figures: Any) -> dict[str, Any]:
    key = {"encoder": encoder, "towers": "123456", "clips": clips}
    return {"key": key, "bundle": {"id": "tiny"}, **figures}


def test_an_aim_is_reached_from_its_own_side() -> None:
    figures = {"share": {"value": 0.5}, "ratio": {"value": 0.5}, "none": {"value": None}}
    measured = row("a", part=figures)

    assert Aim("", ("part", "share"), 0.5).is_reached(measured)
    assert not Aim("", ("part", "share"), 0.51).is_reached(measured)
    assert Aim("", ("part", "ratio"), 0.5, at_most=True).is_reached(measured)
    assert not Aim("", ("part", "ratio"), 0.49, at_most=True).is_reached(measured)
    assert not Aim("", ("part", "none"), 0.0, at_most=True).is_reached(measured)
    assert Aim("", ("absent", "share"), 0.5).figure(measured)["value"] is None


def test_rows_over_the_same_clips_are_compared_and_the_newest_come_first() -> None:
    rows = [row("a"), row("b"), row("a", "xyz123"), row("b", "xyz123")]
    assert group_rows(rows) == [[rows[1], rows[3]], [rows[0], rows[2]]]
    assert titles(rows[2:3]) == ["tiny xyz1/1234"]


def test_missing_results_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate words"):
        write_page(tmp_path)
