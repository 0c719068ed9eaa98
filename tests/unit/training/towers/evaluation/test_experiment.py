from __future__ import annotations

import dataclasses
import json
import os
import statistics
from pathlib import Path
from typing import Any

import pytest
import tiny_pairs

from service.bundle.files import Bundle
from training.towers.evaluation.experiment import (
    ExperimentSettings,
    load_or_train,
    run_experiment,
    summarise,
)
from training.towers.recipe import TowersRecipe
from training.towers.run import CHECKPOINT
from training.towers.text_cache import TextCache


@pytest.fixture(scope="module")
def settings(
    recipe: TowersRecipe,
    scene_folder: Path,
    bundle: Bundle,
    cache: TextCache,
    tmp_path_factory: pytest.TempPathFactory,
) -> ExperimentSettings:
    folder = tmp_path_factory.mktemp("experiment")
    fingerprint = bundle.manifest.encoder.fingerprint
    tested = tiny_pairs.make(3, 8, 9)
    added = [p for p in tested.pairs if [c.kind for c in p.changes] == ["add"]]
    rows = [pair.index for pair in added]
    mixed = dataclasses.replace(
        tested, pairs=added, query=tested.query[rows], target=tested.target[rows]
    )
    folders = {"other": tested, "other_mixtures": mixed}
    others = {
        name: tiny_pairs.write(folder / name, tiny_pairs.with_other_recordings(it), fingerprint)
        for name, it in folders.items()
    }
    return ExperimentSettings(
        recipe=recipe,
        train=scene_folder,
        test=tiny_pairs.write(folder / "test", tested, fingerprint),
        mixtures=tiny_pairs.write(folder / "mixtures", mixed, fingerprint),
        bundle=bundle,
        runs=folder / "runs",
        cache=cache,
        seeds=2,
        **others,
    )


@pytest.fixture(scope="module")
def figures(settings: ExperimentSettings) -> dict[str, Any]:
    return run_experiment(settings)


def test_every_system_is_measured_beside_the_towers(figures: dict[str, Any]) -> None:
    towers = {"audio_and_text", "audio_alone", "text_alone", "audio_only", "text_only"}
    assert set(figures["systems"]) == towers | {"embedding_alone", "arithmetic", "random"}
    for name in towers:
        assert len(figures["systems"][name]["r_at_10"]["values"]) == 2
    assert figures["systems"]["random"]["r_at_1"] == pytest.approx(1 / 24)
    assert figures["phrases"]["phrases"] == 7
    assert set(figures["phrases"]) > {"whole_bank", "events_only", "linear_probe"}


def test_targets_and_references_over_other_recordings_are_measured(
    figures: dict[str, Any],
) -> None:
    found = figures["other_recordings"]
    towers = {"audio_and_text", "audio_alone", "text_alone"}
    assert set(found["systems"]) == towers | {"embedding_alone"}
    assert set(found["same"]) == towers
    assert found["pairs"] == 16  # of 24; there is no other background of the second kind
    assert set(found["strength"]["other"]) == {"0", "0.5", "1", "2"}
    assert len(found["systems"]["audio_and_text"]["r_at_5"]["values"]) == 2
    assert figures["phrases_other"]["phrases"] == figures["phrases"]["phrases"]
    assert 0 < figures["phrases_other"]["mixtures"] < figures["phrases"]["mixtures"]


def test_the_figures_name_recipe_encoder_and_data(
    figures: dict[str, Any], settings: ExperimentSettings
) -> None:
    assert figures["seeds"] == [0, 1]
    assert figures["recipe_sha256"] == settings.recipe.sha256()
    assert figures["encoder"] == settings.bundle.manifest.encoder.fingerprint
    assert set(figures["data"]) == {"train", "test", "mixtures", "other", "other_mixtures"}
    json.dumps(figures)


def test_towers_of_an_earlier_run_are_reused(
    settings: ExperimentSettings, figures: dict[str, Any]
) -> None:
    path = settings.runs / "both-0" / CHECKPOINT
    os.utime(path, (0, 0))
    load_or_train(settings, "both", 0)
    assert path.stat().st_mtime == 0
    other = settings.recipe.model_copy(
        update={"loss": settings.recipe.loss.model_copy(update={"difference": 0.1})}
    )
    changed = dataclasses.replace(settings, recipe=other)
    assert load_or_train(changed, "both", 0).recipe == other
    assert path.stat().st_mtime > 0


def test_figures_are_summarised_over_seeds() -> None:
    found = summarise(
        [
            {"a": {"r": 0.1, "pairs": 7}},
            {"a": {"r": 0.2, "pairs": 7}},
            {"a": {"r": 0.6, "pairs": 7}},
        ]
    )
    assert found["a"]["pairs"] == 7
    assert found["a"]["r"]["mean"] == 0.3
    # Three runs: 2.484 standard deviations (docs/method.md, "Confidence interval").
    half = 2.484 * statistics.stdev([0.1, 0.2, 0.6])
    assert found["a"]["r"]["interval"] == pytest.approx(half, rel=1e-3)
    assert found["a"]["r"]["values"] == [0.1, 0.2, 0.6]
    assert summarise([0.5])["interval"] is None
