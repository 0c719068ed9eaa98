from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_scene
import yaml

import training
from training.errors import RecipeError
from training.scenes.changes import Change
from training.scenes.draw import draw_pairs
from training.scenes.pool import build_pool, scene_clips
from training.scenes.recipe import load_scene
from training.words.grammar import describe_changes
from training.words.names import list_labels

SHIPPED = sorted((Path(training.__file__).parent / "recipes" / "scenes").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_label_of_a_shipped_scene_has_words(path: Path) -> None:
    scene = load_scene(path.stem)
    rng = np.random.default_rng(0)
    kinds = scene.backgrounds.kinds
    for label in {*kinds, *(scene.events.classes or ())}:
        assert describe_changes([Change("more", label)], rng)
    assert {label for same in kinds.values() for label in same} <= {*list_labels()}


def test_the_scenes_of_the_paper_have_one_background_and_four_events() -> None:
    rain, traffic = load_scene("rain"), load_scene("traffic")
    assert (list(rain.backgrounds.kinds), list(traffic.backgrounds.kinds)) == (
        ["rain"],
        ["car_passing"],
    )
    assert rain.events.classes == ["thunderstorm", "dog", "footsteps", "chirping_birds"]
    assert traffic.events.classes == ["dog", "car_horn", "church_bells", "chirping_birds"]
    for scene in (rain, traffic):
        (same,) = scene.backgrounds.kinds.values()
        assert not {*scene.events.classes} & {*same}
        assert scene.has_class("dog")
        assert not scene.has_class("cat")


def test_the_general_scene_has_every_class_and_every_kind_that_names_a_sound() -> None:
    general = load_scene("general")
    assert general.has_class("vacuum_cleaner")
    assert {"rain", "car_passing", "wind"} < {*general.backgrounds.kinds}
    assert "ambient_other" not in general.backgrounds.kinds


def test_corpora_and_folds_of_your_own_are_read_from_a_recipe(tmp_path: Path) -> None:
    """The small corpus under other names of its columns gives the same pairs."""
    clips = [
        (
            {**row, "corpus": f"my-{row['corpus']}", "fold": "", "permissive": row.get("fold", "")},
            waveform,
        )
        for row, waveform in tiny_scene.corpus()
    ]
    manifest = tiny_scene.write(tmp_path / "mine", clips)
    content = load_scene("rain").to_dict()
    content["events"] |= {"where": {"corpus": "my-esc50"}, "test": {"permissive": 5}}
    content["backgrounds"] |= {"where": {"corpus": ["my-ambience"]}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    scene = load_scene(str(tmp_path / "mine.yaml"))
    store = tiny_scene.store(manifest, scene)
    assert len(scene_clips(store.clips, scene)) == len(clips)
    pool = build_pool(store, scene, "test", permissive=False)
    expected = tiny_scene.pool(tiny_scene.write(tmp_path / "theirs"))
    plan = tiny_scene.plan(20)
    assert draw_pairs(pool, plan) == draw_pairs(expected, plan)


def test_every_fault_of_a_recipe_is_reported_at_once(tmp_path: Path) -> None:
    content = load_scene("rain").to_dict()
    content["events"] |= {"test": {}, "fold": 5}
    del content["backgrounds"]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError) as caught:
        load_scene(str(tmp_path / "wrong.yaml"))
    for fault in ("events.test", "events.fold", "backgrounds"):
        assert fault in str(caught.value)
