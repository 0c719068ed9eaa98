from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_results import bgknown, encoder

from training.errors import DatasetError
from training.reports.paper_page import write_page

RUN = encoder(0.5, "run")


def write(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")


def lines_of(page: str, start: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith(f"| {start}")]


def test_missing_results_are_reported(tmp_path: Path) -> None:
    page = write_page(tmp_path / "new").read_text(encoding="utf-8")
    assert "λ 0, 0.1, 0.2, 0.5, 0.8 not yet trained" in page
    assert lines_of(page, "0.8 |")[0].count("not yet trained") == 4
    assert "not yet measured" in page
    assert "VC1, VF, CRM-D" in page


def test_a_file_that_holds_no_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "linear.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"linear\.json"):
        write_page(tmp_path)


def test_rows_are_separated_by_early_stopping_and_part_of_the_reference(tmp_path: Path) -> None:
    by_loss, by_accuracy, half = (bgknown(RUN, a, 40, 30, 20) for a in (50, 51, 52))
    other = bgknown(encoder(0.2, "other"), 48, 40, 30, 20)
    half["key"]["coefficient"] = 0.5
    for row in (by_accuracy, half, other):
        row["key"]["monitor"] = "accuracy"
    write(tmp_path, "bgknown", by_loss, by_accuracy, half, other)
    page = write_page(tmp_path).read_text(encoding="utf-8")
    first, second, halved, whole = lines_of(page, "`run`")
    assert "50.00 ± 1.00" in first
    assert "51.00 ± 1.00" in second
    assert "| 0.5 | 52.00 ± 1.00 |" in halved
    assert "| 1 | 51.00 ± 1.00 |" in whole
    assert len(lines_of(page, "`other`")) == 1
