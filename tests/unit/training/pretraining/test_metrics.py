from __future__ import annotations

from pathlib import Path

import pytest

from training.pretraining.metrics import MetricsLog, read_metrics


def log(folder: Path, first: int, last: int, loss: float) -> None:
    with MetricsLog(folder, first) as metrics:
        for step in range(first, last):
            metrics.write(step, {"loss": loss})


def test_each_step_is_a_line_and_a_point(tmp_path: Path) -> None:
    log(tmp_path, 0, 3, 2.5)
    expected = [{"step": step, "loss": 2.5} for step in range(3)]
    assert read_metrics(tmp_path / "metrics.jsonl") == expected
    assert any((tmp_path / "tensorboard").iterdir())


def test_a_resumed_run_drops_the_lines_after_its_first_step(tmp_path: Path) -> None:
    log(tmp_path, 0, 5, 1.0)
    log(tmp_path, 3, 6, 2.0)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert [line["loss"] for line in lines] == [1, 1, 1, 2, 2, 2]


def test_an_incomplete_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 1.0}\n{"step": 1, "lo')
    assert [line["step"] for line in read_metrics(path)] == [0]
    log(tmp_path, 1, 2, 1.0)
    assert [line["step"] for line in read_metrics(path)] == [0, 1]


def test_lines_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as metrics:
        metrics.write(0, {"loss": 1.0})
        assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


def test_nothing_is_written_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with MetricsLog(None, 0) as metrics:
        metrics.write(0, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_has_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
