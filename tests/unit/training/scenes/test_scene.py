from __future__ import annotations

import numpy as np
import pytest

from training import words
from training.scenes.changes import Change
from training.scenes.scene import SceneName, get_scene


@pytest.mark.parametrize("name", ["rain", "traffic", "general"])
def test_everything_in_a_scene_has_a_name(name: SceneName) -> None:
    scene = get_scene(name)
    draw = np.random.default_rng(0)
    for label in {*scene.kinds, *(scene.classes or ())}:
        assert words.describe_changes([Change("more", label)], draw)
    assert {own for classes in scene.own_classes.values() for own in classes} <= {*words.labels()}


def test_the_scenes_of_the_paper_have_one_background_and_four_events() -> None:
    rain, traffic = get_scene("rain"), get_scene("traffic")
    assert (rain.kinds, traffic.kinds) == (("rain",), ("car_passing",))
    assert rain.classes == ("thunderstorm", "dog", "footsteps", "chirping_birds")
    assert traffic.classes == ("dog", "car_horn", "church_bells", "chirping_birds")
    for scene in (rain, traffic):
        assert not {*scene.classes} & {*scene.own_classes[scene.kinds[0]]}
        assert scene.has_class("dog")
        assert not scene.has_class("cat")


def test_the_general_scene_has_every_class_and_every_kind_that_names_a_sound() -> None:
    general = get_scene("general")
    assert general.has_class("vacuum_cleaner")
    assert {"rain", "car_passing", "wind"} < {*general.kinds}
    assert "ambient_other" not in general.kinds


def test_a_class_that_is_the_background_is_named_by_it() -> None:
    own = get_scene("general").own_classes
    assert own["rain"] == ("rain",)
    assert set(own["rain_thunder"]) == {"rain", "thunderstorm"}
    shared = {kind for kind in own if kind in words.labels() and kind in {"rain", "wind", "train"}}
    assert all(kind in own[kind] for kind in shared)
