from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.changed_page import aims_reached, write_page

INTERVALS = {"false_alarms_95": [0.04, 0.06], "detections_95": [0.7, 0.8]}


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


def test_the_page_has_both_directions_and_the_descriptions(tmp_path: Path) -> None:
    share = {"share": 0.64, "share_95": [0.6, 0.7], "of": 50}
    rates = [row(1, "plain", 0.05, 0.76) | {"recordings": 9} | INTERVALS]
    answers = {"nothing": 0.2, "added": 0.7, "removed": 0.0, "both": 0.1}
    direction = {"references": 1, "change": "added", "answers": answers, "right": 0.7}
    changed = {
        "recordings": 9,
        "takes": 90,
        "events": 20,
        "folds": 5,
        "excerpt_s": 5.0,
        "snr_lu": 0.0,
        "false_alarm_rate": 0.05,
        "recordings_heard_by_encoder": 3,
        "rates": rates,
        "directions": [direction | {"right_95": [0.6, 0.8]}],
        "without_windows": rates,
        "relative_norm": rates,
        "roc": {"false_alarms": [0.0, 0.05, 1.0], "detections": {"1": [0.0, 0.7, 1.0]}},
    }
    figures = {"direction": share, "named": share, "mentioned": share, "right": share}
    figures |= {"right_and_on_time": {"share": None, "share_95": None, "of": 0}, "on_time": share}
    level = {"median_level_error_db": 2.2, "levels_told": 40}
    described = {
        "scenes_of_each": 50,
        "side": "test",
        "tolerance_s": 0.5,
        "one_event": {"scenes": 100} | figures | level,
        "changes": [{"change": "added", "scenes": 50, "decisions": {"added": 0.3}} | figures],
        "names_by_lead": [{"lead_from": 0.1, "sounds": 7, "first": 0.9, "second": 0.1}],
    }
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    without = write_page(tmp_path).read_text()
    (tmp_path / "describe.json").write_text(json.dumps(described))
    page = write_page(tmp_path).read_text()

    assert "| 1 | added | 70.0 % (60.0 to 80.0) | 20.0 % | 70.0 % | 0.0 % | 10.0 % |" in page
    assert "an added sound is found in 76.0 % of the mixtures (aim 75%: reached)" in page
    assert "Event and direction are right for 64.0 % (60.0 to 70.0) (aim 60%: reached)." in page
    assert "the time is right for - (aim 70%: missed)" in page
    assert "a median error of\n2.2 dB" in page
    assert "## Descriptions" not in without
    assert page.startswith(without.split("All figures")[0])
