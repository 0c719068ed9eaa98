"""The scenes: which backgrounds they lie on, and which events happen there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import TypeAdapter

SceneName = Literal["rain", "traffic", "general"]
Side = Literal["train", "test"]

CLIP_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One kind of scene.

    Attributes:
        kinds: Kinds of background.
        classes: Classes of events; None for every class.
        own_classes: Of each kind, the classes that are that sound.
    """

    kinds: tuple[str, ...]
    classes: tuple[str, ...] | None
    own_classes: dict[str, tuple[str, ...]]

    def has_class(self, label: str) -> bool:
        """Tell whether events of a class happen in this scene."""
        return self.classes is None or label in self.classes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    kinds: tuple[str, ...] | Literal["all"]
    classes: tuple[str, ...] | Literal["all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scenes:
    """The content of scenes.yaml."""

    rain: _Parts
    traffic: _Parts
    general: _Parts
    own_classes: dict[str, tuple[str, ...]]


def get_scene(name: SceneName) -> Scene:
    """Look a scene up."""
    scenes = _scenes()
    parts = {"rain": scenes.rain, "traffic": scenes.traffic, "general": scenes.general}[name]
    return Scene(
        kinds=tuple(scenes.own_classes) if parts.kinds == "all" else parts.kinds,
        classes=None if parts.classes == "all" else parts.classes,
        own_classes=scenes.own_classes,
    )


@cache
def _scenes() -> _Scenes:
    text = resources.files("training.scenes").joinpath("scenes.yaml").read_text("utf-8")
    return TypeAdapter(_Scenes).validate_python(yaml.safe_load(text))
