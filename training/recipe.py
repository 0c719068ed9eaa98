"""Recipes: what a pre-training run is made of, read strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from training.recipe_files import RecipeFile, Section, read_recipe

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Rate = Annotated[float, Field(gt=0.0, lt=1.0)]
Scale = Annotated[float, Field(gt=0.0)]
Crops = Literal["one", "by_length"]
Columns = dict[str, list[str | int] | str | int]


class LeaveOutRecipe(Section):
    """What is tested on later and therefore not heard, nor anything that shares a source with it.

    Attributes:
        test: Rows of the manifest that are tested on: those that match one of these.
        backgrounds: Rows that serve as backgrounds; the recordings of the test side are left out.
    """

    test: list[Columns] = Field(default_factory=list)
    backgrounds: Columns = Field(default_factory=dict)


class DataRecipe(Section):
    """Which clips are heard.

    Attributes:
        where: Columns of the manifest and the values that let a clip in.
        exclude: Columns of the manifest and the values that keep a clip out.
        leave_out: What evaluations test on (see ``training.data.splits``).
        max_files: Clips drawn with the seed when there are more; None takes all.
        crops: Crops of each clip in an epoch: one, or as many as fit into it, one at least.
        held_out: Share of the recordings kept out of training, for choices made at export.
        max_unreadable: Share of unreadable files above which the run stops.
    """

    where: Columns = Field(default_factory=dict)
    exclude: Columns = Field(default_factory=dict)
    leave_out: LeaveOutRecipe | None = None
    max_files: Annotated[int, Field(gt=1)] | None = None
    crops: Crops = "one"
    held_out: Share = 0.0
    max_unreadable: Share = 0.01


class ViewsRecipe(Section):
    """Augmentation of BYOL-A v2 (facts, section 1.3)."""

    mixup_ratio: Share = 0.2
    bank_size: Annotated[int, Field(ge=1)] = 2048
    crop_scale: tuple[Scale, Scale] = (0.6, 1.5)
    canvas_scale: Annotated[float, Field(ge=1.0)] = 1.5
    fader_gain: Annotated[float, Field(ge=0.0)] = 1.0


class LossRecipe(Section):
    """The objective, with the switches of the readings A1-A18.

    Attributes:
        lambda_: Weight of the difference loss; 0 is BYOL-A, without the branch.
        gamma: Bounds of the mixing rate of each sample.
        symmetric: Take the difference loss in both directions (A8); one direction is doubled,
            so that lambda keeps its meaning.
        mix_domain: Mix normalised log-mels, as equation 2 is written, or mel power (A5).
        renormalise: Bring the mixture back to mean 0 and standard deviation 1 (A6).
        stop_gradient: Let no gradient through the subtracted embedding (A10).
    """

    lambda_: Annotated[float, Field(ge=0.0, le=1.0, alias="lambda")] = 0.5
    gamma: tuple[Rate, Rate] = (0.4, 0.6)
    symmetric: bool = True
    mix_domain: Literal["normalised", "power"] = "normalised"
    renormalise: bool = False
    stop_gradient: bool = False


class OptimRecipe(Section):
    """Optimisation: Adam, and the average that makes the target network.

    Attributes:
        batch_size: Samples of one step over all processes, at least 2.
        warmup_steps: Steps over which the rate rises from 0.
        schedule: What the rate does afterwards: stay, or fall to 0 along a cosine.
        ema_decay: Share of the target that stays at each step.
        ema_schedule: What that share does: stay, or rise to 1 along a cosine.
    """

    epochs: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=2)] = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "cosine"] = "constant"
    ema_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99
    ema_schedule: Literal["constant", "cosine"] = "constant"


class ComputeRecipe(Section):
    """How the arithmetic is done.

    Attributes:
        precision: ``auto`` takes bfloat16 where the processor multiplies in it.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between lines of metrics.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    log_every: Annotated[int, Field(ge=1)] = 10


class Recipe(RecipeFile):
    """One pre-training run."""

    seed: Annotated[int, Field(ge=0)] = 42
    data: DataRecipe = DataRecipe()
    views: ViewsRecipe = ViewsRecipe()
    loss: LossRecipe = LossRecipe()
    optim: OptimRecipe = OptimRecipe()
    compute: ComputeRecipe = ComputeRecipe()


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by the name of a shipped one or the path of a YAML file.

    Args:
        name: ``paper``, ``cpu`` ..., or a path that ends in ``.yaml``.
        overrides: Settings ``section.key=value``, the value in YAML.

    Raises:
        RecipeError: Lists every fault of the file and the overrides together.
    """
    return read_recipe(Recipe, name, overrides)
