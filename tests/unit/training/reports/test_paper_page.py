from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_results import bgknown, encoder, linear, separation, sweep

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


def test_every_row_appears_with_its_figures(tmp_path: Path) -> None:
    seen, log_mel = encoder(0.5, "default"), encoder(None, "log-mel")
    write(
        tmp_path,
        "bgknown",
        bgknown(RUN, 51.5, 48, 44, 40),
        bgknown(seen, 60, 55, 50, 45, seen=800),
        bgknown(log_mel, 30, 25, 20, 15),
    )
    tasks = [linear(RUN, "esc50", 70.0, train_folds=[1, 2, 3]), linear(RUN, "my-words", 80.0)]
    write(tmp_path, "linear", *tasks)
    write(tmp_path, "separation", separation(RUN, 20, 10), separation(log_mel, 30, 20))
    page = write_page(tmp_path).read_text(encoding="utf-8")
    table_1, table_3, ranks = lines_of(page, "`run`")
    assert "58.96 | 54.63 | 50.50 | 47.33 | 51.50 ± 1.00 | 48.00 ± 1.00 |" in table_1
    assert table_3.endswith("| 70.00 ± 0.50 | 80.00 ± 0.50 |")
    assert ranks.endswith("| 0.5 | 20 to 10 | 20 to 10 | 20 to 10 | 10.0% to 20.0% | +0.100 |")
    assert "100% of the test clips" in lines_of(page, "`default`")[0]
    assert "30.00 ± 1.00" in lines_of(page, "log-mel")[0]
    assert "ESC-50" not in page.split("folders of the same form:")[1].split(".")[0]
    for plot in ("bgknown", "separation-run", "separation-log-mel"):
        assert f"({plot}.png)" in page
        assert (tmp_path / f"{plot}.png").is_file()


def test_sweeps_over_settings_have_tables_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    rows = [sweep(RUN, 40), sweep(RUN, 43, optim={"batch_size": 64})]
    write(tmp_path / "trials", "sweep", *rows)
    page = write_page(tmp_path).read_text(encoding="utf-8")
    (line,) = lines_of(page, "`optim.batch_size=64`")
    assert line.startswith("| `optim.batch_size=64` | 1 | 100,000 | 43.0 | +3.0, undecided |")
    assert "0.5, 0.8 not yet trained" in page


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
