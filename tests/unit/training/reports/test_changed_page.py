from __future__ import annotations

import json
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
        "recordings": 20,
        "false_alarms": alarms,
        "false_alarms_95": [alarms / 2, alarms * 2],
        "detections": detections,
        "detections_95": [detections - 0.1, detections + 0.1],
    }


def test_every_row_appears_with_its_figures(tmp_path: Path) -> None:
    points = [i / 100 for i in range(101)]
    result = {
        "excerpt_s": 5.0,
        "snr_lu": 0.0,
        "false_alarm_rate": 0.05,
        "recordings": 20,
        "recordings_heard_by_encoder": 7,
        "events": 10,
        "takes": 1200,
        "folds": 5,
        "rates": [row(n, c, 0.05, 0.5 + n / 10) for n in (1, 2) for c in ("plain", "mp3")],
        "relative_norm": [row(1, "plain", 0.03, 0.25)],
        "roc": {"false_alarms": points, "detections": {"1": points, "relative_norm": points}},
    }
    (tmp_path / "changed.json").write_text(json.dumps(result))

    text = write_page(tmp_path).read_text(encoding="utf-8")

    assert "| 2 | mp3 | others | 20 | 5.0 % (2.5 to 10.0) | 70.0 % (60.0 to 80.0) |" in text
    assert "| 1 | plain | others | 20 | 3.0 % (1.5 to 6.0) | 25.0 % (15.0 to 35.0) |" in text
    assert "| 5% | 5.0 % | 5.0 % |" in text
    assert text.count("| others |") == 5
    assert (tmp_path / "changed_roc.png").stat().st_size > 1000


def test_the_figures_decide_whether_an_aim_is_reached() -> None:
    rows = [row(1, "plain", 0.05, 0.52), row(1, "mp3", 0.11, 0.8)]
    rows += [row(4, "plain", 0.03, 0.72), row(4, "mp3", 0.09, 0.6)]

    one, four = aims_reached(rows, 0.05)

    assert (one["reached"], one["lowest"], one["highest"], one["within"]) == (
        *(False, 0.05, 0.11),
        False,
    )
    assert (four["reached"], four["detections"], four["within"]) == (True, 0.72, True)


def test_missing_results_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate changed"):
        write_page(tmp_path)
