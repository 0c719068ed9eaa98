"""Understanding in a bundle: its description, its files, and its gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch

from service.bundle.files import Bundle
from service.bundle.understanding import CompositionWeights, UnderstandingInfo
from service.inference.tokenizer import Tokenizer
from service.inference.towers import TextEncoder, describe_sounds
from service.inference.understanding import TAGS, read_sounds
from training.errors import CheckpointError
from training.towers.export.graphs import TextModel
from training.towers.text_cache import TextCache
from training.towers.text_encoder_files import TOKENIZER
from training.towers.understanding.run import LoadedUnderstanding, load_understanding

NOVELTY = "novelty.npz"
N_TEXTS = 200  # on which a graph is compared with torch
LOWEST_AGREEMENT = 0.98


@dataclass(frozen=True, slots=True)
class UnderstandingInputs:
    """Inputs of an export of a bundle that understands texts.

    Attributes:
        loaded: The checkpoint.
        weights: Weights of the sounds of a text in a query.
    """

    loaded: LoadedUnderstanding
    weights: CompositionWeights = field(default_factory=CompositionWeights)

    def describe(self) -> UnderstandingInfo:
        """Describe the understanding for the manifest."""
        recipe = self.loaded.recipe
        return UnderstandingInfo(
            tags=TAGS,
            novelty=NOVELTY,
            weights=self.weights,
            recipe=recipe.to_dict(),
            recipe_sha256=recipe.sha256(),
            commit=self.loaded.commit,
            names=len(self.loaded.detector.phrases),
            scores=self.loaded.scores,
        )

    def write(self, staged: Bundle, cache: TextCache) -> None:
        """Write the files beside the graph.

        Raises:
            CheckpointError: The checkpoint is of another text encoder than the towers.
        """
        if self.loaded.text_encoder != cache.files.sha256:
            raise CheckpointError(
                "the understanding was trained with another text encoder than the towers; train it"
                " again"
            )
        self.loaded.detector.write(staged.file(NOVELTY))


def load_inputs(checkpoint: Path, composition: Path | None) -> UnderstandingInputs:
    """Read a checkpoint, and the weights that `composition` wrote; the defaults without.

    Raises:
        CheckpointError: A file cannot be read, or is of another format.
    """
    loaded = load_understanding(checkpoint)
    if composition is None:
        return UnderstandingInputs(loaded)
    try:
        weights = json.loads(composition.read_bytes())["weights"]
        return UnderstandingInputs(loaded, CompositionWeights.model_validate(weights))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{composition} holds no weights: {error}") from error


@dataclass(frozen=True, slots=True)
class UnderstandingGate:
    """Texts on which the sounds that a graph tells are compared with those of the torch model.

    Attributes:
        texts: The texts.
        expected: The sounds of each text, by the torch model.
    """

    texts: Sequence[str]
    expected: Sequence[list[str]]

    @classmethod
    @torch.inference_mode()
    def of(cls, model: TextModel, texts: Sequence[str], cache: TextCache) -> Self:
        """Run the torch model on the first 200 texts."""
        tokenizer = Tokenizer(cache.files.folder / TOKENIZER, cache.max_tokens)
        model.eval()
        expected = []
        for text in texts[:N_TEXTS]:
            tokens = tokenizer.tokenize(text)
            ids = torch.from_numpy(tokens.ids)[None]
            _, _, tags = model(ids, torch.ones_like(ids))
            sounds = read_sounds(text, tokens, tags[0].numpy())
            expected.append(describe_sounds(sounds))
        return cls(texts[:N_TEXTS], expected)

    def agreement(self, encoder: TextEncoder) -> float:
        """Return the share of the texts with the same sounds and changes."""
        found = [encoder.encode(text) for text in self.texts]
        same = [
            each is not None and describe_sounds(each.sounds) == expected
            for each, expected in zip(found, self.expected, strict=True)
        ]
        return sum(same) / len(same)
