"""The text bank: the phrases that changes are told in, with their vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from training.towers.evaluation.ranks import unit
from training.towers.vocabulary import Vocabulary
from training.words import describe_sound, names

DRAWN = 16  # descriptions that the vector of a phrase is averaged over

TextVectors = Callable[[Sequence[str]], Float32[np.ndarray, "texts dim"]]
"""Gives the text tower's vectors of texts."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One entry of the bank.

    Attributes:
        phrase: The plainest name of the label.
        label: Class of the event, or kind of the background.
        kind: Which of the two.
        vector: Unit vector, float32 [dim].
    """

    phrase: str
    label: str
    kind: Literal["event", "background"]
    vector: Float32[np.ndarray, " dim"]


def make_bank(vocabulary: Vocabulary, embed: TextVectors) -> list[Phrase]:
    """Make one phrase for each label: the mean direction of 16 descriptions of it.

    Args:
        vocabulary: The labels.
        embed: The text tower, as it is served or as it was trained.
    """
    draw = np.random.default_rng(0)
    told = [[describe_sound([label], draw) for _ in range(DRAWN)] for label in vocabulary.labels]
    vectors = unit(embed([text for texts in told for text in texts]))
    means = unit(vectors.reshape(len(told), DRAWN, -1).mean(axis=1))
    return [
        Phrase(
            phrase=names(label)[0],
            label=label,
            kind="event" if label in vocabulary.events else "background",
            vector=vector,
        )
        for label, vector in zip(vocabulary.labels, means, strict=True)
    ]


def write_bank(path: Path, bank: Sequence[Phrase]) -> None:
    """Write a bank as the service reads it; a line for each phrase."""
    lines = [
        json.dumps(
            {
                "phrase": phrase.phrase,
                "label": phrase.label,
                "kind": phrase.kind,
                "vector": base64.b64encode(phrase.vector.astype("<f4").tobytes()).decode(),
            }
        )
        for phrase in bank
    ]
    path.write_text('{"phrases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
