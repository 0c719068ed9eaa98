"""The text bank: phrases that describe a difference, with their vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from service.difference import l2_normalize
from training.towers.vocabulary import Vocabulary
from training.words.grammar import describe_sound
from training.words.names import list_names

N_DESCRIPTIONS = 16  # averaged for the vector of a phrase

EmbedTexts = Callable[[Sequence[str]], Float32[np.ndarray, "texts dim"]]
"""Returns the vectors of texts, as the text tower gives them."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One entry of the bank.

    Attributes:
        phrase: Plainest name of the label.
        label: Class of the event, or kind of the background.
        kind: Whether it is an event or a background.
        vector: Unit vector, float32 [dim].
    """

    phrase: str
    label: str
    kind: Literal["event", "background"]
    vector: Float32[np.ndarray, " dim"]


def make_bank(vocabulary: Vocabulary, embed: EmbedTexts) -> list[Phrase]:
    """Make one phrase for each label: the mean direction of 16 descriptions of it.

    Args:
        vocabulary: The labels.
        embed: The text tower, as it is served or as it was trained.
    """
    rng = np.random.default_rng(0)
    labels = vocabulary.labels
    texts = [describe_sound([label], rng) for label in labels for _ in range(N_DESCRIPTIONS)]
    vectors = l2_normalize(embed(texts))
    means = l2_normalize(vectors.reshape(len(labels), N_DESCRIPTIONS, -1).mean(axis=1))
    return [
        Phrase(
            phrase=list_names(label)[0],
            label=label,
            kind="event" if label in vocabulary.events else "background",
            vector=vector,
        )
        for label, vector in zip(labels, means, strict=True)
    ]


def write_bank(path: Path, bank: Sequence[Phrase]) -> None:
    """Write a bank in the format of the service; a line for each phrase."""
    lines = [
        json.dumps(
            asdict(phrase)
            | {"vector": base64.b64encode(phrase.vector.astype("<f4").tobytes()).decode()}
        )
        for phrase in bank
    ]
    path.write_text('{"phrases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
