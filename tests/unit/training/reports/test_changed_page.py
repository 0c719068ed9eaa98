from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.changed_page import aims_reached, write_page


def row(n: int, condition: str, alarms: float, detections: float) -> dict[str, Any]:
    return {
        "references": n,
        "condition": condition,
        "against": "others",
        "false_alarms": alarms,
        "detections": detections,
    }


def test_the_figures_decide_whether_an_aim_is_reached() -> None:
    rows = [row(1, "plain", 0.05, 0.52), row(1, "mp3", 0.11, 0.8)]
    rows += [row(4, "plain", 0.03, 0.72), row(4, "mp3", 0.09, 0.6)]

    one, four = aims_reached(rows, 0.05)

    assert (one["reached"], one["within"]) == (False, False)
    assert (one["lowest"], one["highest"]) == (0.05, 0.11)
    assert (four["reached"], four["detections"], four["within"]) == (True, 0.72, True)


def test_missing_results_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate changed"):
        write_page(tmp_path)
