"""The concepts of the towers: everything that a clip may be said to hold, with its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import TypeAdapter

from training.words.names import class_names, label_names, read_words

Kind = Literal["label", "class", "caption"]


@dataclass(frozen=True, slots=True)
class Concept:
    """A sound with its names.

    Attributes:
        kind: Whether it is a label of names.yaml, a class of AudioSet, or the caption of a clip.
        key: The label, the class or the caption.
        names: Names, with articles, the plainest first.
    """

    kind: Kind
    key: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concepts:
    """All concepts in a fixed order: labels, classes in the teacher's order, captions.

    Attributes:
        concepts: The concepts.
        classes: Column of each class of the teacher, in the teacher's order.
    """

    concepts: tuple[Concept, ...]
    classes: tuple[int, ...]

    @classmethod
    def of(cls, teacher_classes: Sequence[str], captions: Sequence[str]) -> Concepts:
        """List the concepts.

        Args:
            teacher_classes: Names of the teacher's classes, in the order of its scores.
            captions: Captions of clips; each becomes one concept.
        """
        labels = [_concept("label", label, entry.seen) for label, entry in label_names().items()]
        classes = [_concept("class", name, class_names()[name]) for name in teacher_classes]
        written = [Concept("caption", caption, (caption,)) for caption in sorted(set(captions))]
        columns = tuple(range(len(labels), len(labels) + len(classes)))
        return cls((*labels, *classes, *written), columns)

    def columns(self) -> Mapping[tuple[Kind, str], int]:
        """Return the column of each concept by kind and key."""
        return {(each.kind, each.key): i for i, each in enumerate(self.concepts)}


def _concept(kind: Kind, key: str, names: Sequence[str]) -> Concept:
    """Make a concept with its names and the words of the lexicon."""
    words = [word for found in _lexicon().get(key, {}).values() for word in found]
    return Concept(kind, key, (*names, *words))


def caption_of(corpus: str, label: str) -> str | None:
    """Return the caption of a clip by its label; None if the corpus has no captions."""
    form = _captions().get(corpus)
    if form is None:
        return None
    return form.format(label) if isinstance(form, str) else form[label]


@cache
def _lexicon() -> Mapping[str, Mapping[str, Sequence[str]]]:
    read = TypeAdapter(dict[str, dict[str, tuple[str, ...]]])
    return read.validate_python(read_words("lexicon.yaml"))


@cache
def _captions() -> Mapping[str, str | Mapping[str, str]]:
    read = TypeAdapter(dict[str, str | dict[str, str]])
    return read.validate_python(read_words("captions.yaml"))
