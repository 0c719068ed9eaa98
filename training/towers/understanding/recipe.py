"""Settings of a training of understanding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from training.recipe_files import RecipeFile, Section, read_recipe
from training.towers.recipe import Count, Positive, TextRecipe, Weight

FOLDER = "understanding"


class TaggerRecipe(Section):
    """The tagger.

    Attributes:
        requests: Requests that are drawn for training.
        tests: Requests of each kind that are drawn to measure it.
        epochs: Passes over the requests.
        batch_size: Requests in a step.
        learning_rate: Learning rate at the start.
        weight_decay: Decoupled weight decay.
    """

    requests: Count = 8_000
    tests: Count = 500
    epochs: Count = 12
    batch_size: Count = 64
    learning_rate: Positive = 2e-3
    weight_decay: Weight = 0.01


class NoveltyRecipe(Section):
    """The detector of texts that name no known sound.

    Attributes:
        known_flagged: Share of held-out names that may be flagged, 0 to 1.
        generated: Texts of each kind that are made at random.
        penalty: L2 penalty of the logistic regression, on standardised features.
    """

    known_flagged: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.025
    generated: Count = 400
    penalty: Positive = 1e-2


class UnderstandingRecipe(RecipeFile):
    """A training of understanding."""

    text: TextRecipe = TextRecipe()
    tagger: TaggerRecipe = TaggerRecipe()
    novelty: NoveltyRecipe = NoveltyRecipe()

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain data, without ``text.folder``, a place on one machine."""
        content = super().to_dict()
        content["text"]["folder"] = None
        return content


def load_understanding_recipe(name: str, overrides: Sequence[str] = ()) -> UnderstandingRecipe:
    """Read a recipe by the name of a shipped one or the path of a YAML file.

    Args:
        name: ``understanding``, or a path that ends in ``.yaml``.
        overrides: Settings ``section.key=value``, the value in YAML.

    Raises:
        RecipeError: Lists every fault of the file and the overrides together.
    """
    return read_recipe(UnderstandingRecipe, name, overrides, FOLDER)
