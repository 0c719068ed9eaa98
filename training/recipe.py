"""Recipes: all settings of a pre-training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from training.recipe_files import RecipeFile, Section, read_recipe

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Rate = Annotated[float, Field(gt=0.0, lt=1.0)]
Scale = Annotated[float, Field(gt=0.0)]
Weight = Annotated[float, Field(ge=0.0, le=100.0)]
Level = Annotated[float, Field(ge=-60.0, le=60.0)]
Crops = Literal["one", "by_length"]
CropSeconds = Annotated[float, Field(ge=0.2, le=30.0)]
Store = Literal["auto", "host", "device"]
Columns = dict[str, list[str | int] | str | int]


class LeaveOutRecipe(Section):
    """Test data of later evaluations; clips that share a source with it are not trained on.

    Attributes:
        test: Conditions on the manifest; a row that meets one of them is test data.
        backgrounds: Condition on rows that are backgrounds; those of the test side are test data.
    """

    test: list[Columns] = Field(default_factory=list)
    backgrounds: Columns = Field(default_factory=dict)


class DataRecipe(Section):
    """The clips that are trained on.

    Attributes:
        where: Columns of the manifest, and the values that a clip must have.
        exclude: Columns of the manifest, and the values that a clip must not have.
        leave_out: Test data of later evaluations (see ``training.data.splits``).
        max_files: Largest number of clips; of more, so many are drawn with the seed. None: all.
        crops: Crops of each clip in an epoch: one, or as many as fit into it, at least one.
        crop_seconds: Length of a crop [s]; 0.95 is 96 frames, and 0.96 more are 96 frames more.
        held_out: Share of the recordings that is not trained on but used for choices at export.
        max_unreadable: Share of unreadable files above which the run stops.
    """

    where: Columns = Field(default_factory=dict)
    exclude: Columns = Field(default_factory=dict)
    leave_out: LeaveOutRecipe | None = None
    max_files: Annotated[int, Field(gt=1)] | None = None
    crops: Crops = "one"
    crop_seconds: CropSeconds = 0.95
    held_out: Share = 0.0
    max_unreadable: Share = 0.01


class ViewsRecipe(Section):
    """Augmentation of BYOL-A v2 (docs/method.md, "Augmentation")."""

    mixup_ratio: Share = 0.2
    bank_size: Annotated[int, Field(ge=1)] = 2048
    crop_scale: tuple[Scale, Scale] = (0.6, 1.5)
    canvas_scale: Annotated[float, Field(ge=1.0)] = 1.5
    fader_gain: Annotated[float, Field(ge=0.0)] = 1.0


class LossRecipe(Section):
    """The objective (docs/method.md, "Objective"); A5 to A10 are readings of the paper there.

    Attributes:
        lambda_: Weight of the difference loss; 0 is BYOL-A, without the difference branch.
        gamma: Bounds of the mixing rate of each sample; not used with ``snr_db``.
        snr_db: Bounds of the level of what stays over what is subtracted in each mixture [dB]; the
            mixing rate follows from it and the levels of the two. None: the rate is drawn.
        symmetric: Compute the difference loss in both directions (A8). A single direction is
            doubled, so that lambda keeps its meaning.
        mix_domain: Mix normalised log-mels, as equation 2 is written, mel power (A5), or
            waveforms, before the augmentation.
        reference: What is subtracted: the same crop that was mixed in, or another excerpt of its
            clip.
        renormalise: Normalise the mixture again to mean 0 and standard deviation 1 (A6).
        stop_gradient: Stop the gradient at the subtracted embedding (A10).
        teacher: Weight of the teacher loss of both views; 0 is no teacher.
        teacher_difference: Weight of the teacher loss of the remainder after subtraction.
        teacher_labels: Weight of the label loss, on the teacher's scores, of both views.
        teacher_labels_difference: Weight of the label loss of the remainder.
    """

    lambda_: Annotated[float, Field(ge=0.0, le=1.0, alias="lambda")] = 0.5
    gamma: tuple[Rate, Rate] = (0.4, 0.6)
    snr_db: tuple[Level, Level] | None = None
    symmetric: bool = True
    mix_domain: Literal["normalised", "power", "waveform"] = "normalised"
    reference: Literal["same", "excerpt"] = "same"
    renormalise: bool = False
    stop_gradient: bool = False
    teacher: Weight = 0.0
    teacher_difference: Weight = 0.0
    teacher_labels: Weight = 0.0
    teacher_labels_difference: Weight = 0.0

    @field_validator("snr_db")
    @classmethod
    def _in_order(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and bounds[0] > bounds[1]:
            raise ValueError("the lower bound comes first")
        return bounds

    @property
    def subtracts(self) -> bool:
        """True if a loss needs the mixture and its remainder."""
        return self.lambda_ + self.teacher_difference + self.teacher_labels_difference > 0

    @property
    def directions(self) -> int:
        """Number of mixtures of each sample in a step."""
        return (2 if self.symmetric else 1) if self.subtracts else 0

    @property
    def mixes_excerpts(self) -> bool:
        """True if a step needs another excerpt of the recording of each crop."""
        return self.subtracts and self.reference == "excerpt"

    @property
    def predicts_embedding(self) -> bool:
        """True if a loss needs the teacher's embedding."""
        return self.teacher + self.teacher_difference > 0

    @property
    def predicts_labels(self) -> bool:
        """True if a loss needs the teacher's scores."""
        return self.teacher_labels + self.teacher_labels_difference > 0

    @property
    def has_teacher(self) -> bool:
        """True if a loss needs the teacher."""
        return self.predicts_embedding or self.predicts_labels


class OptimRecipe(Section):
    """Optimisation: Adam, and the moving average of the target network.

    Attributes:
        max_steps: Largest number of steps of the run; the schedules end there. None: those of all
            epochs.
        batch_size: Number of crops of one step over all processes, at least 2.
        warmup_steps: Steps over which the learning rate rises from 0.
        schedule: Learning rate after the warm-up: constant, or falling to 0 along a cosine.
        ema_decay: Decay of the moving average.
        ema_schedule: Decay over the run: constant, or rising to 1 along a cosine.
    """

    epochs: Annotated[int, Field(ge=1)] = 100
    max_steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=2)] = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "cosine"] = "constant"
    ema_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99
    ema_schedule: Literal["constant", "cosine"] = "constant"


class ComputeRecipe(Section):
    """Arithmetic and intervals.

    Attributes:
        precision: ``auto`` is bfloat16 if the processor or GPU has instructions for it.
        store: Where crops are cut out of decoded clips; ``auto`` is a GPU if they fit into its
            memory, else the host. The crops are the same.
        compile: Compile the encoders by ``torch.compile``.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between lines of metrics.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    store: Store = "auto"
    compile: bool = False
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
    """Read a shipped recipe by its name, or a YAML file by its path.

    Args:
        name: ``paper``, ``cpu`` ..., or a path that ends in ``.yaml``.
        overrides: Settings ``section.key=value``, the value in YAML.

    Raises:
        RecipeError: Lists every fault of the file and the overrides together.
    """
    return read_recipe(Recipe, name, overrides)


def with_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of settings that were added after a recipe was written."""
    return _filled(recipe, Recipe(name="").to_dict())


def _filled(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(defaults)
    for key, value in given.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            filled[key] = _filled(value, default)
        else:
            filled[key] = value
    return filled
