from __future__ import annotations

from pathlib import Path

import pytest
from tiny_pipeline import Pipeline, install

from service.bundle.files import load_bundle, write_manifest
from training.data.clips import TrainingData
from training.errors import CheckpointError, DatasetError
from training.recipe import load_recipe
from training.results import read_rows
from training.sweep import Sweep, describe_plan


@pytest.fixture
def pipeline(
    brief: None, tmp_path: Path, tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Pipeline:
    return install(tiny_bundle_path, tmp_path / "corpora", monkeypatch)


def opened(pipeline: Pipeline, tmp_path: Path, *overrides: str) -> Sweep:
    data = TrainingData(pipeline.manifest, tmp_path / "cache")
    return Sweep("table", overrides, data, tmp_path / "runs", tmp_path / "results")


def test_every_run_has_one_row_and_no_step_is_repeated(pipeline: Pipeline, tmp_path: Path) -> None:
    bundles = opened(pipeline, tmp_path).run(["0.5"], [42, 43])
    names = ["table-0.5", "table-0.5-seed43"]
    assert [bundle.name for bundle in bundles] == names
    assert [name for name, *_ in pipeline.trained] == names
    rows = read_rows(tmp_path / "results" / "sweep.json")
    assert [row["encoder"]["recipe"]["loss"]["lambda"] for row in rows] == [0.5, 0.5]
    assert [row["encoder"]["recipe"]["seed"] for row in rows] == [42, 43]
    for row in rows:
        assert row["commit"]
        for accuracies in (row["bgknown"], row["bgknown_by_accuracy"]):
            assert set(accuracies) == {"mix", "a", "b", "c"}
        assert "mean" in row["esc50_folds_1_3_to_4_5"]
        assert set(row["separation_at_0_db"]) == {"reference_weight", "mixture", "difference"}
    measured = read_rows(tmp_path / "results" / "bgknown.json")
    assert all(row["test_clips_heard"]["heard"] == 0 for row in measured)
    opened(pipeline, tmp_path).run(["0.5"], [42, 43])
    assert len(pipeline.trained) == 2
    assert read_rows(tmp_path / "results" / "bgknown.json") == measured


def test_a_stopped_run_is_resumed(pipeline: Pipeline, tmp_path: Path) -> None:
    checkpoint = tmp_path / "runs" / "table-0.5" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    opened(pipeline, tmp_path).run(["0.5"], [])
    assert pipeline.trained == [("table-0.5", 0.5, 42, True)]


def test_a_bundle_of_another_recipe_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    opened(pipeline, tmp_path).run(["0.5"], [])
    with pytest.raises(CheckpointError, match="by another recipe"):
        opened(pipeline, tmp_path, "optim.epochs=3").run(["0.5"], [])


def test_a_run_of_a_recipe_without_a_newer_setting_is_still_the_same_run(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    (bundle,) = opened(pipeline, tmp_path).run(["0.5"], [])
    manifest = load_bundle(bundle).manifest
    recipe = load_recipe("table", ["loss.lambda=0.5"]).to_dict()
    del recipe["data"]["crops"]
    training = manifest.training.model_copy(update={"recipe": recipe, "recipe_sha256": "0" * 64})
    write_manifest(bundle, manifest.model_copy(update={"training": training}))
    opened(pipeline, tmp_path).run(["0.5"], [])
    assert len(pipeline.trained) == 1


def test_a_wrong_lambda_is_refused_before_training(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"loss\.lambda"):
        opened(pipeline, tmp_path).run(["0", "2"], [])
    assert not pipeline.trained


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    data = TrainingData(tmp_path, tmp_path / "cache")
    with pytest.raises(DatasetError, match="needs a manifest"):
        Sweep("table", (), data, tmp_path / "runs", tmp_path / "results").run(["0"], [])


def test_the_plan_lists_the_runs(pipeline: Pipeline, tmp_path: Path) -> None:
    plan = describe_plan(opened(pipeline, tmp_path), ["0", "0.5"], [])
    assert plan.startswith("2 runs on ")
    assert plan.endswith("table-0, table-0.5")
