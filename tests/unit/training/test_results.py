from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.errors import DatasetError
from training.results import command, header, put_row, read_rows, write_result


def test_a_command_is_written_without_the_folders_of_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["/some/where/minuend-train", "evaluate", "linear", "/data/esc/meta.csv"]
    words += [str(tmp_path / "models" / "x"), "--out=/far/away", "loss.lambda=0.5", "../near"]
    assert command(words) == (
        "minuend-train evaluate linear meta.csv models/x --out=away loss.lambda=0.5 ../near"
    )
    assert command(["/x/training/cli/__main__.py", "sweep"]) == "minuend-train sweep"


def test_a_header_describes_how_figures_were_made() -> None:
    made = header()
    assert set(made) == {"command", "date", "commit", "hardware"}
    assert set(made["hardware"]) == {"processor", "cores", "instructions", "python"}


def test_a_row_replaces_one_of_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.json"
    assert read_rows(path) == []
    put_row(path, {"encoder": "a", "data": 1}, {"score": 1})
    put_row(path, {"encoder": "b", "data": 1}, {"score": 2})
    put_row(path, {"encoder": "a", "data": 1}, {"score": 3})
    assert [row["score"] for row in read_rows(path)] == [2, 3]
    assert all(row["commit"] for row in read_rows(path))


def test_a_file_without_rows_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    write_result(path, {"figure": 1})
    with pytest.raises(DatasetError, match=r"other\.json is no file of results"):
        put_row(path, {"a": 1}, {})
    assert json.loads(path.read_text())["figure"] == 1


def test_results_are_written_without_torch() -> None:
    code = "import sys, training.results; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "False"]
