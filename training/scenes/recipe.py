"""Recipes of scenes: which clips are events and backgrounds, and which may occur together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.data.manifest import SourceClip
from training.data.splits import matches
from training.recipe import Columns
from training.recipe_files import RecipeFile, Section, read_recipe

FOLDER = "scenes"

Side = Literal["train", "test"]
Condition = Annotated[Columns, Field(min_length=1)]


class EventsRecipe(Section):
    """The clips that serve as events.

    Attributes:
        where: Columns of the manifest and the values that make a clip an event.
        test: Columns and values of the events of the test side, among those.
        held_out: Columns and values of the events of the training side on which recipes of towers
            are compared (`minuend-train data held-out`).
        classes: Labels of the events that occur; None for every label.
    """

    where: Condition
    test: Condition
    held_out: Condition
    classes: list[str] | None = None


class BackgroundsRecipe(Section):
    """The clips that serve as backgrounds.

    Attributes:
        where: Columns of the manifest and the values that make a clip a background.
        kinds: Labels of the backgrounds that occur; of each, the classes of events that are the
            same sound and are not drawn on it.
    """

    where: Condition
    kinds: Annotated[dict[str, list[str]], Field(min_length=1)]


class SceneRecipe(RecipeFile):
    """One kind of scene. Its name is part of the seed of every draw."""

    events: EventsRecipe
    backgrounds: BackgroundsRecipe

    def is_event(self, clip: SourceClip) -> bool:
        """Tell whether a clip is an event, of any class."""
        return matches(clip, self.events.where)

    def is_test_event(self, clip: SourceClip) -> bool:
        """Tell whether a clip is an event of the test side."""
        return self.is_event(clip) and matches(clip, self.events.test)

    def is_background(self, clip: SourceClip) -> bool:
        """Tell whether a clip is a background, of any kind."""
        return matches(clip, self.backgrounds.where)

    def has_class(self, label: str) -> bool:
        """Tell whether events of a class occur in this scene."""
        return self.events.classes is None or label in self.events.classes


def load_scene(name: str) -> SceneRecipe:
    """Read a scene by the name of a shipped recipe or the path of a YAML file.

    Args:
        name: ``general``, ``rain``, ``traffic``, or a path that ends in ``.yaml``.

    Raises:
        RecipeError: There is no such recipe, or it is wrong; lists every fault.
    """
    return read_recipe(SceneRecipe, name, (), FOLDER)
