from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch
import yaml
from torch import Tensor

from service.bundle.files import load_bundle
from training.data.clips import TrainingData
from training.errors import CheckpointError, DatasetError, DivergenceError, RunStoppedError
from training.export import parts
from training.export.load import LoadedBundle
from training.model.model import EmbeddingModel
from training.pretraining import pretrain as module
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.pretraining.metrics import read_metrics
from training.pretraining.pretrain import PARENT_ATTRIBUTION, pretrain, step_generator
from training.pretraining.step import StepMetrics, TrainState
from training.recipe import Recipe, load_recipe

pytestmark = pytest.mark.usefixtures("narrow")

FILES = 7  # two steps an epoch: of 4 and of 3 crops


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("pretrain")
    return TrainingData(tiny_run.write_sounds(folder / "sounds", FILES), folder / "cache")


@pytest.fixture
def recipe() -> Recipe:
    return tiny_run.recipe(
        optim={"schedule": "cosine", "warmup_steps": 1, "ema_decay": 0.6, "ema_schedule": "cosine"}
    )


LOSSES = ("byol", "difference", "teacher", "remainder", "labels", "labels_remainder")


def losses(run: Path) -> list[list[float]]:
    names = ("step", "learning_rate", *LOSSES)
    return [[line[name] for name in names] for line in read_metrics(run / "metrics.jsonl")]


def test_a_run_trains_on_every_clip_once_an_epoch_and_logs_metrics(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    checkpoint = pretrain(recipe, data, tmp_path / "run")
    content = load_checkpoint(checkpoint)
    assert content["progress"] == {
        "step": 4,
        "samples_seen": 2 * FILES,
        "parent": None,
        "parent_samples": 0,
        "seconds": 0.0,
    }
    assert Recipe.model_validate(content["recipe"]) == recipe
    assert content["origin"]["data"] == str(data.path.resolve())
    assert content["origin"]["precision"] == "float32"
    lines = read_metrics(tmp_path / "run/metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["samples"] for line in lines] == [4, 7, 11, 14]
    assert all(0 < line["byol"] < 8 and 0 < line["difference"] < 8 for line in lines)
    assert all(line["embedding_std"] > 0.02 for line in lines)
    rates = [line["learning_rate"] for line in lines]
    assert rates == pytest.approx([1e-3, 1e-3, 7.5e-4, 2.5e-4])
    shares = [line["ema_decay"] for line in lines]
    assert shares == pytest.approx([0.6, 0.6586, 0.8, 0.9414], abs=1e-4)


ALL_VARIANTS = [
    *("loss.teacher=1", "loss.teacher_difference=1"),
    *("loss.teacher_labels=0.2", "loss.teacher_labels_difference=0.2"),
    *("loss.snr_db=[-10,10]", "loss.mix_domain=waveform", "loss.reference=excerpt"),
    "data.crop_seconds=0.47",
]


def with_settings(recipe: Recipe, folder: Path, *overrides: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.to_dict()))
    return load_recipe(str(path), overrides)


@pytest.mark.usefixtures("any_teacher")
@pytest.mark.parametrize("settings", [[], ALL_VARIANTS], ids=["paper", "variants"])
def test_a_resumed_run_is_the_run_that_never_stopped(
    settings: list[str], data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_settings(recipe, tmp_path, *settings)
    whole = pretrain(recipe, data, tmp_path / "whole")
    pretrain(recipe, data, tmp_path / "parts", stop_after=3)
    parts = pretrain(recipe, data, tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    expected, found = load_checkpoint(whole), load_checkpoint(parts)
    assert found["progress"] == expected["progress"]
    assert found["statistics"] == expected["statistics"]
    assert all((losses(tmp_path / "whole")[-1][2 + i] > 0) == bool(settings) for i in range(2, 6))
    for network in ("online", "target"):
        for name, value in expected[network].items():
            assert torch.equal(found[network][name], value), name


def test_a_run_of_an_older_recipe_is_resumed(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    """Settings that its recipe lacks have their defaults; the paper's step is unchanged."""
    checkpoint = pretrain(recipe, data, tmp_path, stop_after=1)
    content = load_checkpoint(checkpoint)
    for name in ("snr_db", "reference", "teacher_labels", "teacher_labels_difference"):
        del content["recipe"]["loss"][name]
    del content["recipe"]["data"]["crop_seconds"], content["recipe"]["optim"]["max_steps"]
    save_checkpoint(checkpoint, content)
    pretrain(recipe, data, tmp_path, resume=True, stop_after=2)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 2


def test_schedules_end_at_the_largest_number_of_steps(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_settings(recipe, tmp_path, "optim.max_steps=3", "optim.warmup_steps=0")
    pretrain(recipe, data, tmp_path)
    rates = [line["learning_rate"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert rates == pytest.approx([1e-3, 7.5e-4, 2.5e-4])


def test_a_run_has_no_more_steps_than_its_epochs(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_settings(recipe, tmp_path, "optim.max_steps=9")
    content = load_checkpoint(pretrain(recipe, data, tmp_path))
    assert content["progress"]["step"] == 4


@pytest.mark.usefixtures("any_teacher")
def test_a_last_phase_has_longer_crops_of_a_bundle_s_encoder(
    data: TrainingData, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = load_bundle(tiny_bundle_path).manifest
    loaded = LoadedBundle(EmbeddingModel(), manifest)
    monkeypatch.setattr(parts, "load_bundle", lambda path: loaded)
    cut = []
    step = module.train_step

    def watched(state: TrainState, clips: Tensor, *more: Any, **options: Any) -> StepMetrics:
        cut.append(tuple(clips.shape))
        return step(state, clips, *more, **options)

    monkeypatch.setattr(module, "train_step", watched)
    longer = tiny_run.recipe(
        data={"crop_seconds": 1.91}, loss={"teacher": 1.0, "teacher_difference": 1.0}
    )
    checkpoint = pretrain(longer, data, tmp_path / "run", init=tmp_path, stop_after=1)
    assert cut == [(4, 30_560)]
    content = load_checkpoint(checkpoint)
    assert content["banks"][0]["inputs"].shape == (8, 64, 192)
    assert content["progress"]["parent"] == manifest.encoder.fingerprint


def test_a_folder_with_a_run_is_not_overwritten(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"of an earlier run")
    with pytest.raises(CheckpointError, match="holds a run; add --resume"):
        pretrain(recipe, data, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"of an earlier run"


def test_a_run_starts_from_a_bundle_s_encoder_with_new_heads(
    data: TrainingData, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tmp_path / "bundle"
    parent.mkdir()
    (parent / "ATTRIBUTION.csv").write_text("path\nold.wav\n")
    torch.manual_seed(8)
    model = EmbeddingModel()
    model.mean.fill_(-3.0)
    model.std.fill_(2.0)
    manifest = load_bundle(tiny_bundle_path).manifest
    seen = manifest.training.model_copy(update={"samples_seen": 1000})
    manifest = manifest.model_copy(update={"training": seen})
    weights = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    monkeypatch.setattr(parts, "load_bundle", lambda path: LoadedBundle(model, manifest))
    still = tiny_run.recipe(optim={"learning_rate": 1e-12})
    checkpoint = pretrain(still, data, tmp_path / "run", init=parent, stop_after=1)
    content = load_checkpoint(checkpoint)
    assert content["progress"] == {
        "step": 1,
        "samples_seen": 4,
        "parent": manifest.encoder.fingerprint,
        "parent_samples": 1000,
        "seconds": 0.0,
    }
    assert content["statistics"] == {"mean": -3.0, "std": 2.0}
    for name, parameter in model.encoder.named_parameters():
        torch.testing.assert_close(content["online"][f"encoder.{name}"], weights[name])
        assert parameter.requires_grad
    assert (tmp_path / "run" / PARENT_ATTRIBUTION).read_text() == "path\nold.wav\n"


def test_held_out_recordings_are_not_trained_on(data: TrainingData) -> None:
    recipe = tiny_run.recipe(data={"held_out": 0.5})
    trained, held_out = data.open(recipe)
    names = [{clip.name for clip in part.clips} for part in (trained, held_out)]
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == FILES
    assert names[1]


def test_too_few_clips_after_holding_out_are_an_error_of_the_data(
    data: TrainingData, tmp_path: Path
) -> None:
    recipe = tiny_run.recipe(data={"held_out": 0.99})
    with pytest.raises(DatasetError, match="held out"):
        pretrain(recipe, data, tmp_path)


def test_divergence_stops_the_run_and_keeps_the_last_checkpoint(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object, **__: object) -> StepMetrics:
        return next(outcomes)

    good = StepMetrics(
        loss=3.0,
        byol=3.0,
        difference=3.0,
        teacher=0.0,
        remainder=0.0,
        gradient_norm=1.0,
        embedding_std=0.5,
    )
    outcomes = iter([good, good, replace(good, loss=float("nan"))])
    monkeypatch.setattr(module, "train_step", diverge)
    recipe = tiny_run.recipe(compute={"checkpoint_every": 2})
    with pytest.raises(DivergenceError, match="step 2"):
        pretrain(recipe, data, tmp_path)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["progress"]["step"] == 2
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [0, 1]


def test_each_step_and_process_has_its_own_generator() -> None:
    def draw(seed: int, rank: int, step: int) -> float:
        generator = step_generator(seed, rank, step, torch.device("cpu"))
        return float(torch.rand((), generator=generator))

    places = [(seed, rank, step) for seed in range(3) for rank in range(3) for step in range(5)]
    assert len({draw(*place) for place in places}) == len(places)
    assert draw(1, 2, 3) == draw(1, 2, 3)


def test_a_run_of_a_given_time_ends_with_it_at_any_number_of_epochs(
    data: TrainingData, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step takes ten seconds by the clock: a minute has six, more than the four of epochs."""
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    checkpoint = pretrain(recipe, data, tmp_path / "run", minutes=1.0)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 6
    assert load_checkpoint(checkpoint)["progress"]["seconds"] == 60.0
    rates = [line["learning_rate"] for line in read_metrics(tmp_path / "run/metrics.jsonl")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.2e-3


def test_a_resumed_run_has_the_rest_of_its_time(
    data: TrainingData, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    pretrain(recipe, data, tmp_path / "run", minutes=1.0, stop_after=2)
    checkpoint = pretrain(recipe, data, tmp_path / "run", minutes=1.0, resume=True)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 6
    pretrain(recipe, data, tmp_path / "run", minutes=1.0, resume=True)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_the_resumed_run_is_the_one_without_it(
    number: signal.Signals,
    data: TrainingData,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretrain(recipe, data, tmp_path / "whole")
    train_step, steps = module.train_step, iter(range(100))

    def interrupted(*arguments: Any, **settings: Any) -> StepMetrics:
        if next(steps) == 1:
            os.kill(os.getpid(), number)
        return train_step(*arguments, **settings)

    monkeypatch.setattr(module, "train_step", interrupted)
    with pytest.raises(RunStoppedError, match=f"stopped by {number.name} after step 2") as caught:
        pretrain(recipe, data, tmp_path / "run")
    assert caught.value.number == number
    assert load_checkpoint(tmp_path / "run/checkpoint.pt")["progress"]["step"] == 2
    pretrain(recipe, data, tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_signal_in_the_last_step_is_no_error(
    data: TrainingData, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_step = module.train_step

    def last(*arguments: Any, **settings: Any) -> StepMetrics:
        os.kill(os.getpid(), signal.SIGTERM)
        return train_step(*arguments, **settings)

    monkeypatch.setattr(module, "train_step", last)
    checkpoint = pretrain(recipe, data, tmp_path / "run", stop_after=1)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 1


def test_crops_held_on_the_device_give_the_same_run(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    held = recipe.model_copy(
        update={"compute": recipe.compute.model_copy(update={"store": "device"})}
    )
    pretrain(recipe, data, tmp_path / "host")
    pretrain(held, data, tmp_path / "device")
    assert losses(tmp_path / "device") == losses(tmp_path / "host")


def test_a_checkpoint_of_a_recipe_without_newer_settings_is_resumed(
    data: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    checkpoint = pretrain(recipe, data, tmp_path / "run", stop_after=3)
    content = load_checkpoint(checkpoint)
    del content["recipe"]["compute"]["store"], content["progress"]["seconds"]
    save_checkpoint(checkpoint, content)
    pretrain(recipe, data, tmp_path / "run", resume=True)
    assert load_checkpoint(checkpoint)["progress"]["step"] == 4
