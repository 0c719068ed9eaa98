from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_datasets import write_corpora
from tiny_evaluation import copy_bundle

from training.data.manifest import read_clips
from training.datasets.bgknown import make_bgknown
from training.datasets.prepare import prepare_task
from training.datasets.sides import find_sides
from training.errors import DatasetError
from training.evaluation.measure import (
    BGKNOWN,
    LINEAR,
    SEPARATION,
    Measurement,
    measure_bgknown,
    measure_linear,
    measure_separate,
)
from training.reports.paper_page import write_page
from training.results import read_rows


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def measurement(brief: None, manifest: Path, tiny_bundle_path: Path, tmp_path: Path) -> Measurement:
    """A measurement of a bundle that was trained on the clips of folds 1-4."""
    trained = [
        clip for clip in read_clips(manifest) if clip.columns["fold"] in ("1", "2", "3", "4")
    ]
    bundle = copy_bundle(tiny_bundle_path, tmp_path / "bundle", trained)
    return Measurement(str(bundle), "bundle", tmp_path / "results", tmp_path / "cache", (1, 2))


def test_a_row_of_table_1_has_everything_it_depends_on(
    manifest: Path, measurement: Measurement
) -> None:
    data = make_bgknown(find_sides(manifest, manifest), manifest.parent / "bgknown", seed=0)
    line = measure_bgknown(data, measurement)
    assert line.startswith("tiny-0: mix ")
    measure_bgknown(data, measurement)
    (row,) = read_rows(measurement.results / BGKNOWN)
    assert {"command", "commit", "hardware", "seeds", "probe"} <= set(row)
    assert row["encoder"]["recipe_sha256"]
    assert row["data"]["manifest_sha256"]
    assert row["test_clips_heard"] == {"heard": 2, "tested": 4}
    assert set(row["accuracy"]) == {"mix", "a", "b", "c"}
    measure_bgknown(data, measurement, coefficient=0.5)
    measure_bgknown(data, replace(measurement, encoder="log-mel"))
    rows = read_rows(measurement.results / BGKNOWN)
    assert len(rows) == 3
    assert rows[-1]["test_clips_heard"] == {"heard": 0, "tested": 4}


def test_of_the_teacher_it_is_not_known_which_clips_it_heard(
    manifest: Path, measurement: Measurement
) -> None:
    folder = measurement.cache.parent / "bgknown"
    data = make_bgknown(find_sides(manifest, manifest), folder, seed=0)
    measure_bgknown(data, replace(measurement, encoder="teacher"))
    metadata = measurement.cache / "esc50.csv"
    prepare_task("manifest", manifest, metadata, ["corpus=esc50"])
    measure_linear("esc50", metadata, replace(measurement, encoder="teacher"))
    for file in (BGKNOWN, LINEAR):
        (row,) = read_rows(measurement.results / file)
        assert row["encoder"] == {"id": "yamnet", "kind": "teacher", "statistics": "none"}
        assert row["test_clips_heard"] is None
    page = write_page(measurement.results).read_text()
    assert "| YAMNet, the teacher of distillation |" in page


def test_a_row_of_table_3_has_its_folds(manifest: Path, measurement: Measurement) -> None:
    metadata = measurement.cache / "esc50.csv"
    prepare_task("manifest", manifest, metadata, ["corpus=esc50"])
    measure_linear("esc50", metadata, measurement, train_folds="1,2,3")
    measure_linear("mine", metadata, measurement, unit_s=0.5)
    first, second = read_rows(measurement.results / LINEAR)
    assert (first["train_folds"], first["probe"]["learning_rate"]) == ([1, 2, 3], 1e-3)
    assert first["test_clips_heard"] == {"heard": 2, "tested": 4}
    assert (second["train_folds"], second["data"]["unit_s"]) == (None, 0.5)
    assert second["test_clips_heard"] == {"heard": 8, "tested": 10}
    assert first["data"]["classes"] == 2
    with pytest.raises(DatasetError, match="takes --unit-s"):
        measure_linear("mine", metadata, measurement)
    with pytest.raises(DatasetError, match="numbers with commas"):
        measure_linear("esc50", metadata, measurement, train_folds="one")


def test_separation_is_measured_on_unseen_clips_only(
    manifest: Path, measurement: Measurement
) -> None:
    line = measure_separate(manifest, measurement, 5, None)
    assert "median rank, w 0 " in line
    (row,) = read_rows(measurement.results / SEPARATION)
    clips = read_clips(manifest)
    # Folds 1-4 were trained on, and one clip shares a source with one of them.
    assert row["data"]["unheard_clips"] == len(clips) - 8 - 1
    assert row["data"]["pairs"] == 5
    assert row["test_clips_heard"] == {"heard": 0, "tested": row["data"]["candidates"] + 1}
    assert set(row["by_snr_db_and_weight"]) == {"-10", "-5", "0", "5", "10"}
    baseline = replace(measurement, encoder="log-mel")
    measure_separate(manifest, baseline, 5, Path(measurement.encoder))
    other = read_rows(measurement.results / SEPARATION)[1]
    assert other["data"]["clips_sha256"] == row["data"]["clips_sha256"]
