from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tiny_pipeline import Pipeline, install

from training.data.clips import TrainingData
from training.errors import DatasetError, RecipeError
from training.recipe import load_recipe
from training.sweep import Sweep
from training.trials import Trials, load_plan

PLAN = {
    "name": "tiny",
    "recipe": "table",
    "settings": ["optim.max_steps=9"],
    "trials": [
        {"name": "plain", "lambda": 0.2},
        {
            **{"name": "power", "lambda": 0.2, "against": "plain-0.2"},
            "settings": ["loss.mix_domain=power"],
        },
        {"name": "later", "lambda": 0.2, "after": "plain-0.2", "settings": ["optim.epochs=1"]},
    ],
}


@pytest.fixture
def pipeline(
    brief: None, tmp_path: Path, tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Pipeline:
    return install(tiny_bundle_path, tmp_path / "corpora", monkeypatch)


def write_plan(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(PLAN | changes), encoding="utf-8")
    return str(path)


def opened(
    pipeline: Pipeline, tmp_path: Path, seeds: tuple[int, ...] = (42,), *only: str
) -> Trials:
    plan = load_plan(write_plan(tmp_path))
    data = TrainingData(pipeline.manifest, tmp_path / "cache")
    return Trials(plan, data, tmp_path / "runs", tmp_path / "results", seeds, only)


def stop(*_: object) -> None:
    raise DatasetError("stopped")


def test_every_trial_has_a_file_and_is_not_repeated(pipeline: Pipeline, tmp_path: Path) -> None:
    files = opened(pipeline, tmp_path, (42, 43), "plain-0.2", "power-0.2").run()
    folder = tmp_path / "results" / "trials" / "tiny"
    names = [f"{n}-0.2-seed{s}.json" for s in (42, 43) for n in ("plain", "power")]
    assert files == [folder / name for name in names]
    assert [run[0] for run in pipeline.trained] == [
        *("plain-0.2", "power-0.2", "plain-0.2-seed43", "power-0.2-seed43"),
    ]
    found = json.loads(files[3].read_text())
    assert (found["trial"], found["against"], found["seed"]) == ("power-0.2", "plain-0.2", 43)
    assert found["settings"] == ["loss.mix_domain=power"]
    recipe = found["encoder"]["recipe"]
    assert (recipe["optim"]["max_steps"], recipe["loss"]["mix_domain"]) == (9, "power")
    assert set(found["bgknown_by_accuracy"]) == {"mix", "a", "b", "c"}
    assert found["separation_at_0_db"]["mixture"]["median_rank"] >= 1
    assert found["commit"]
    assert pipeline.kinds == [()] * 4  # no smaller variants of an encoder that is not shipped
    before = [file.read_bytes() for file in files]
    assert opened(pipeline, tmp_path, (42, 43), "plain-0.2", "power-0.2").run() == files
    assert len(pipeline.trained) == 4
    assert [file.read_bytes() for file in files] == before


def test_a_finished_run_without_a_file_is_measured_and_not_trained_again(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    (file,) = opened(pipeline, tmp_path, (42,), "plain-0.2").run()
    before = json.loads(file.read_text())
    file.unlink()
    opened(pipeline, tmp_path, (42,), "plain-0.2").run()
    assert len(pipeline.trained) == 1
    assert json.loads(file.read_text()) == before


def test_a_checkpoint_is_kept_until_the_trial_is_measured(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty of them are many gigabytes; the bundle stays, for trials that start from it."""
    checkpoint = tmp_path / "runs" / "plain-0.2" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "measure", stop)
        with pytest.raises(DatasetError, match="stopped"):
            opened(pipeline, tmp_path, (42,), "plain-0.2").run()
    assert checkpoint.is_file()
    opened(pipeline, tmp_path, (42,), "plain-0.2").run()
    assert not checkpoint.exists()
    assert (tmp_path / "runs" / "bundles" / "plain-0.2" / "bundle.json").is_file()


def test_a_trial_starts_from_the_encoder_of_the_trial_before_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    opened(pipeline, tmp_path, (43,), "plain-0.2", "later-0.2").run()
    first = tmp_path / "runs" / "bundles" / "plain-0.2-seed43"
    assert pipeline.started_from == [None, first]
    assert (first / "bundle.json").is_file()


def test_results_of_other_settings_are_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    (file,) = opened(pipeline, tmp_path, (42,), "plain-0.2").run()
    found = json.loads(file.read_text())
    found["encoder"]["recipe"]["optim"]["max_steps"] = 10
    file.write_text(json.dumps(found))
    with pytest.raises(DatasetError, match="results of other settings"):
        opened(pipeline, tmp_path, (42,), "plain-0.2").run()


def test_a_wrong_setting_is_refused_before_any_training(pipeline: Pipeline, tmp_path: Path) -> None:
    trials = [*PLAN["trials"], {"name": "bad", "lambda": 0.2, "settings": ["loss.gama=1"]}]
    plan = load_plan(write_plan(tmp_path, trials=trials))
    data = TrainingData(pipeline.manifest, tmp_path / "cache")
    with pytest.raises(RecipeError, match=r"loss\.gama"):
        Trials(plan, data, tmp_path / "runs", tmp_path / "results", (42,)).run()
    assert not pipeline.trained


def test_an_unknown_name_is_refused_with_the_known_ones(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no trials other-0\.2; the plan has .*plain-0\.2"):
        opened(pipeline, tmp_path, (42,), "other-0.2").run()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"trials": []}, "trials"),
        ({"trials": [PLAN["trials"][1]]}, "power-0.2 names plain-0.2, which is not above it"),
        ({"trials": [PLAN["trials"][0]] * 2}, "two trials are named plain-0.2"),
        ({"trials": [PLAN["trials"][2], PLAN["trials"][0]]}, "later-0.2 names plain-0.2"),
    ],
)
def test_a_faulty_plan_is_refused(tmp_path: Path, changes: dict[str, object], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        load_plan(write_plan(tmp_path, **changes))


def test_every_shipped_trial_is_a_recipe_and_has_the_compute_of_the_base() -> None:
    plan = load_plan("distillation")
    budget = {}
    for trial in plan.trials:
        settings = [*plan.settings, *trial.settings, f"loss.lambda={trial.lambda_}"]
        recipe = load_recipe(plan.recipe, settings)
        crops = (recipe.optim.max_steps or 0) * recipe.optim.batch_size
        budget[trial.full_name] = crops * round((recipe.data.crop_seconds + 0.01) * 100) / 96
    from_scratch = {t.full_name for t in plan.trials if t.after is None}
    assert {budget[name] for name in from_scratch} == {179 * 128}
    assert {budget[name] for name in budget.keys() - from_scratch} == {60 * 128}
    assert {t.name: t.lambda_ for t in plan.trials if t.name in ("none", "teacher", "both")} == {
        **{"none": 0.2, "teacher": 0.2, "both": 0.2},
    }
    assert {t.full_name for t in plan.trials if t.lambda_ == 0} == {"none-0", "teacher-0", "both-0"}
