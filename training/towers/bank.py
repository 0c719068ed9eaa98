"""The text bank: phrases that describe a difference, with their vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from service.difference import l2_normalize
from training.towers.captions.concepts import Concepts
from training.towers.vocabulary import Vocabulary
from training.words.grammar import list_descriptions
from training.words.names import list_names, names_of, without_article

EmbedTexts = Callable[[Sequence[str]], Float32[np.ndarray, "texts dim"]]
"""Returns the vectors of texts, as the text tower gives them."""


Kind = Literal["event", "background", "sound"]


@dataclass(frozen=True, slots=True)
class BankEntry:
    """A phrase that will be put into a bank.

    Attributes:
        phrase: Plainest name of the sound, without its article.
        label: Name for programs: a label of names.yaml, a class of AudioSet, or the phrase.
        kind: Whether it is an event or a background of the scenes, or another sound.
        texts: Descriptions, whose mean direction is the vector of the phrase.
        reliability: Share of the first five hits of a search for it that are right; None if it
            was not measured.
    """

    phrase: str
    label: str
    kind: Kind
    texts: tuple[str, ...]
    reliability: float | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """One entry of the bank, as it is stored.

    Attributes:
        phrase: See `BankEntry`.
        label: See `BankEntry`.
        kind: See `BankEntry`.
        vector: Unit vector, float32 [dim].
        reliability: See `BankEntry`.
    """

    phrase: str
    label: str
    kind: Kind
    vector: Float32[np.ndarray, " dim"]
    reliability: float | None = None


def label_entries(vocabulary: Vocabulary) -> list[BankEntry]:
    """List an entry for each label of scenes, without a measured reliability."""
    return [
        BankEntry(
            phrase=list_names(label)[0],
            label=label,
            kind=_kind(label, vocabulary),
            texts=tuple(list_descriptions(names_of(label).seen)),
        )
        for label in vocabulary.labels
    ]


def concept_entries(
    concepts: Concepts, vocabulary: Vocabulary, reliability: Mapping[int, float], lowest: float
) -> list[BankEntry]:
    """List an entry for each concept that is reliable, each phrase once.

    A class that is the same sound as a label of the scenes has no entry of its own.

    Args:
        concepts: The concepts.
        vocabulary: Labels of the scenes.
        reliability: Measured reliability by column of a concept.
        lowest: Lowest reliability of an entry.
    """
    same = {name for label in vocabulary.labels for name in names_of(label).classes}
    entries: dict[str, BankEntry] = {}
    for column, concept in enumerate(concepts.concepts):
        measured = reliability.get(column, 0.0)
        phrase = without_article(concept.names[0])
        is_doubled = phrase in entries or (concept.kind == "class" and concept.key in same)
        if measured >= lowest and not is_doubled:
            entries[phrase] = BankEntry(
                phrase=phrase,
                label=concept.key,
                kind=_kind(concept.key, vocabulary),
                texts=tuple(list_descriptions(concept.names)),
                reliability=round(measured, 3),
            )
    return list(entries.values())


def make_bank(entries: Sequence[BankEntry], embed: EmbedTexts) -> list[Phrase]:
    """Make the phrases of a bank: each vector is the mean direction of its descriptions.

    Args:
        entries: The phrases.
        embed: The text tower, as it is served or as it was trained.
    """
    bounds = np.cumsum([len(entry.texts) for entry in entries])[:-1]
    vectors = l2_normalize(embed([text for entry in entries for text in entry.texts]))
    means = [part.mean(axis=0) for part in np.split(vectors, bounds)]
    return [
        Phrase(entry.phrase, entry.label, entry.kind, vector, entry.reliability)
        for entry, vector in zip(entries, l2_normalize(np.stack(means)), strict=True)
    ]


def _kind(label: str, vocabulary: Vocabulary) -> Kind:
    if label in vocabulary.events:
        return "event"
    return "background" if label in vocabulary.backgrounds else "sound"


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
