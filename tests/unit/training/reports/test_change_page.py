from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.change_page import verdict, write_page


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rates = [row(n, c, 0.05, 0.5 + n / 10) for n in (1, 2) for c in ("plain", "mp3")]
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
        "rates": rates,
        "relative_norm": [row(1, "plain", 0.03, 0.25)],
        "roc": {"false_alarms": points, "detections": {"1": points, "relative_norm": points}},
    }
    (tmp_path / "changed.json").write_text(json.dumps(result))
    return tmp_path


def test_the_page_shows_what_the_file_says(folder: Path) -> None:
    text = write_page(folder).read_text()

    assert "| 2 | mp3 | others | 20 | 5.0 % (2.5 to 10.0) | 70.0 % (60.0 to 80.0) |" in text
    assert "| 1 | plain | others | 20 | 3.0 % (1.5 to 6.0) | 25.0 % (15.0 to 35.0) |" in text
    assert "| 5% | 5.0 % | 5.0 % |" in text
    assert "had heard 7 of the recordings" in text
    assert (folder / "changed_roc.png").stat().st_size > 1000


def test_the_verdict_says_what_was_missed() -> None:
    rows = [row(1, "plain", 0.05, 0.52), row(1, "mp3", 0.11, 0.6)]
    rows += [row(4, "plain", 0.03, 0.72), row(4, "mp3", 0.09, 0.6)]

    text = verdict(rows, 0.05)

    assert "With 1 reference it fires on 52.0 %" in text
    assert "missed) and on 5.0 to 11.0 % of what is unchanged (not within a factor of two)" in text
    assert "reached) and on 3.0 to 9.0 % of what is unchanged (within a factor of two)" in text


def test_without_results_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate changed"):
        write_page(tmp_path)
