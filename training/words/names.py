"""Names of sounds: the labels of the corpora, and the classes of AudioSet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from training.errors import DatasetError

Part = Literal["seen", "held_out"]
ARTICLES = ("a", "an", "the")


class LabelNames(BaseModel):
    """The entry of a label in names.yaml.

    Attributes:
        seen: Names to train on, with their articles, the plainest first.
        held_out: Names that are never trained on.
        classes: Classes of AudioSet that are the same sound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seen: tuple[str, ...]
    held_out: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def part(self, part: Part) -> tuple[str, ...]:
        """Return the names of one part."""
        return self.seen if part == "seen" else self.held_out


def list_labels() -> tuple[str, ...]:
    """List every label that has names."""
    return tuple(label_names())


def names_of(label: str) -> LabelNames:
    """Return the entry of a label.

    Raises:
        DatasetError: The label has no names.
    """
    try:
        return label_names()[label]
    except KeyError:
        raise DatasetError(f"names.yaml has no name for the sound {label!r}") from None


def list_names(label: str, part: Part = "seen") -> tuple[str, ...]:
    """List the names of a label without articles, the plainest first.

    Raises:
        DatasetError: The label has no names.
    """
    return tuple(without_article(name) for name in names_of(label).part(part))


def without_article(name: str) -> str:
    """Remove a leading article: "a dog" becomes "dog"."""
    article, _, rest = name.partition(" ")
    return rest if article in ARTICLES and rest else name


@cache
def label_names() -> Mapping[str, LabelNames]:
    """Read the names of every label of names.yaml."""
    return TypeAdapter(dict[str, LabelNames]).validate_python(read_words("names.yaml"))


@cache
def class_names() -> Mapping[str, Sequence[str]]:
    """Read the names of the 521 classes of AudioSet, with articles, the plainest first."""
    read = TypeAdapter(dict[str, tuple[str, ...]])
    return read.validate_python(read_words("audioset.yaml"))


def read_words(name: str) -> object:
    """Read a YAML file of this package."""
    return yaml.safe_load(resources.files("training.words").joinpath(name).read_text("utf-8"))
