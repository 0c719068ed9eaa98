from __future__ import annotations

from pathlib import Path

import pytest
from tiny_datasets import write_corpora, write_esc50

from training.datasets.metadata import read_metadata
from training.datasets.prepare import prepare_task
from training.errors import DatasetError


def test_a_data_set_of_another_size_than_the_papers_is_reported(tmp_path: Path) -> None:
    line = prepare_task("esc50", write_esc50(tmp_path / "esc"), tmp_path / "esc50.csv")
    assert "10 clips of 2 classes" in line
    assert "2000 clips of 50 classes, so results are not comparable" in line
    assert len(read_metadata(tmp_path / "esc50.csv")) == 10


def test_rows_of_a_manifest_are_chosen_by_their_columns(tmp_path: Path) -> None:
    manifest = write_corpora(tmp_path)
    prepare_task("manifest", manifest, tmp_path / "m.csv", ["corpus=esc50", "fold=1,2"])
    assert {clip.fold for clip in read_metadata(tmp_path / "m.csv")} == {1, 2}


def test_unknown_tasks_and_sources_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.csv"
    with pytest.raises(DatasetError, match=r"no task 'esc'; there are esc50, us8k"):
        prepare_task("esc", tmp_path, out)
    with pytest.raises(DatasetError, match="is no folder"):
        prepare_task("esc50", tmp_path / "none", out)
    with pytest.raises(DatasetError, match="expected column=value"):
        prepare_task("manifest", tmp_path, out, ["corpus"])
    with pytest.raises(DatasetError, match="--where"):
        prepare_task("folder", tmp_path, out, ["a=b"])
