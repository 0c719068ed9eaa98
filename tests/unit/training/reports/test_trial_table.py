from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_results import encoder, sweep

from training.errors import DatasetError
from training.reports.paper_page import write_page
from training.reports.trial_table import read_trials, trial_lines


def result(trial: str, order: int, seed: int, a: float, mix: float) -> dict[str, Any]:
    row = sweep(encoder(0.2, trial, seed=seed), a, samples_seen=22_912)
    figures = {"a": {"mean": a}, "b": {"mean": a - 1}, "c": {"mean": a - 2}, "mix": {"mean": mix}}
    about = {"trial": trial, "order": order, "against": "both-0.2", "seed": seed, "after": None}
    return {**row, **about, "settings": ["x.y=1"], "bgknown_by_accuracy": figures}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (folder / f"{row['trial']}-seed{row['seed']}.json").write_text(json.dumps(row))
    return folder


ROWS = [
    result("both-0.2", 1, 42, 45, 36),
    result("both-0.2", 1, 43, 44, 37),
    result("labels-0.2", 2, 42, 47, 36),
    result("labels-0.2", 2, 43, 46, 40),
    result("none-0", 0, 43, 40, 30),
]


def test_a_trial_tells_what_subtraction_gains_and_what_it_has_over_another(
    tmp_path: Path,
) -> None:
    first, base, labels = trial_lines(read_trials(write(tmp_path, *ROWS)))
    assert (first["trial"], first["runs"], first["gains"]) == ("none-0", 1, [10])
    assert (first["over"], first["decided"]) == ([-4], False)
    assert (base["a"], base["mix"], base["clean"], base["gains"]) == (44.5, 36.5, 60, [9, 7])
    assert (labels["gains"], labels["over"], labels["decided"]) == ([11, 6], [2, 2], True)
    assert labels["ranks"] == [100, 10]


def test_overlapping_seeds_decide_nothing(tmp_path: Path) -> None:
    rows = [*ROWS[:3], result("labels-0.2", 2, 43, 44.5, 40)]
    _, labels = trial_lines(read_trials(write(tmp_path, *rows)))
    assert (labels["over"], labels["decided"]) == ([2, 0.5], False)


def test_without_the_other_trial_nothing_is_compared(tmp_path: Path) -> None:
    (line,) = trial_lines(read_trials(write(tmp_path, ROWS[4])))
    assert line["over"] == []
    assert not line["decided"]


def test_the_page_has_a_line_for_each_trial_and_none_without_trials(tmp_path: Path) -> None:
    assert "Trials of distillation" not in write_page(tmp_path).read_text(encoding="utf-8")
    write(tmp_path / "trials" / "distillation", *ROWS)
    page = write_page(tmp_path).read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith("| `labels-0.2`"))
    assert "+8.5 (+11.0, +6.0)" in line
    assert "100 to 10" in line
    assert "+2.0 (+2.0, +2.0) over `both-0.2`, seeds agree" in line
    assert "-4.0 (-4.0) over `both-0.2`, undecided" in page


def test_a_file_that_holds_no_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"x\.json"):
        read_trials(tmp_path)
