from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import DatasetError
from training.reports.paper_page import write_page


def test_missing_results_are_reported(tmp_path: Path) -> None:
    page = write_page(tmp_path / "new").read_text(encoding="utf-8")
    assert "λ 0, 0.1, 0.2, 0.5, 0.8 not yet trained" in page
    line = next(line for line in page.splitlines() if line.startswith("| 0.8 |"))
    assert line.count("not yet trained") == 4
    assert "not yet measured" in page
    assert "VC1, VF, CRM-D" in page


def test_a_file_that_holds_no_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "linear.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"linear\.json"):
        write_page(tmp_path)
