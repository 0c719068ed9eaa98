from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import Any

import pytest
import tiny_pairs

from service.bundle.files import Bundle
from training.towers.evaluation.experiment import Setting, obtain, run_experiment, summarise
from training.towers.recipe import TowersRecipe
from training.towers.run import CHECKPOINT
from training.towers.text_cache import TextCache

MIXTURES = [("add",)]


@pytest.fixture(scope="module")
def setting(
    recipe: TowersRecipe,
    scene_folder: Path,
    bundle: Bundle,
    cache: TextCache,
    tmp_path_factory: pytest.TempPathFactory,
) -> Setting:
    folder = tmp_path_factory.mktemp("experiment")
    fingerprint = bundle.manifest.encoder.fingerprint
    tested = tiny_pairs.make(3, 8, 9)
    added = [p for p in tested.pairs if [c.kind for c in p.changes] == ["add"]]
    rows = [pair.index for pair in added]
    mixed = type(tested)(
        pairs=added,
        query=tested.query[rows],
        target=tested.target[rows],
        events=tested.events,
        event_rows=tested.event_rows,
    )
    return Setting(
        recipe=recipe,
        train=scene_folder,
        test=tiny_pairs.write(folder / "test", tested, fingerprint),
        mixtures=tiny_pairs.write(folder / "mixtures", mixed, fingerprint),
        bundle=bundle,
        runs=folder / "runs",
        cache=cache,
        seeds=2,
    )


@pytest.fixture(scope="module")
def figures(setting: Setting) -> dict[str, Any]:
    return run_experiment(setting)


def test_every_system_is_measured_beside_the_towers(figures: dict[str, Any]) -> None:
    towers = {"audio_and_text", "audio_alone", "text_alone", "audio_only", "text_only"}
    assert set(figures["systems"]) == towers | {"embedding_alone", "arithmetic", "random"}
    for name in towers:
        assert len(figures["systems"][name]["r_at_10"]["values"]) == 2
    assert figures["systems"]["random"]["r_at_1"] == pytest.approx(1 / 24)
    assert figures["phrases"]["phrases"] == 7
    assert set(figures["phrases"]) > {"whole_bank", "events_only", "linear_probe"}


def test_the_figures_say_what_they_are_of(figures: dict[str, Any], setting: Setting) -> None:
    assert figures["seeds"] == [0, 1]
    assert figures["recipe_sha256"] == setting.recipe.sha256()
    assert figures["encoder"] == setting.bundle.manifest.encoder.fingerprint
    assert set(figures["data"]) == {"train", "test", "mixtures"}
    json.dumps(figures)


def test_towers_that_are_there_are_used_again(setting: Setting, figures: dict[str, Any]) -> None:
    path = setting.runs / "both-0" / CHECKPOINT
    os.utime(path, (0, 0))
    obtain(setting, "both", 0)
    assert path.stat().st_mtime == 0
    other = setting.recipe.model_copy(
        update={"loss": setting.recipe.loss.model_copy(update={"difference": 0.1})}
    )
    changed = Setting(
        **{name: getattr(setting, name) for name in Setting.__slots__} | {"recipe": other}
    )
    assert obtain(changed, "both", 0).recipe == other
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
    # Three runs: 2.484 standard deviations (facts, section 5.1).
    half = 2.484 * statistics.stdev([0.1, 0.2, 0.6])
    assert found["a"]["r"]["interval"] == pytest.approx(half, rel=1e-3)
    assert found["a"]["r"]["values"] == [0.1, 0.2, 0.6]
    assert summarise([0.5])["interval"] is None
