"""Read the hand-written tables of the protocols, and match labels with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

import yaml
from pydantic import TypeAdapter

from training.data.attribution import corpus_of
from training.data.manifest import SourceClip
from training.evaluation.embeddings import hash_parts
from training.words.names import without_article

T = TypeVar("T")
FILES = ("sounds.yaml", "requests.yaml", "texts.yaml", "scenes.yaml", "phrases.yaml")


@dataclass(frozen=True, slots=True)
class Request:
    """A text, and the sounds that are right for it."""

    text: str
    sounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Plain names that every bundle should know, and texts of no sound by their group."""

    known: tuple[Request, ...]
    nonsense: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class BackgroundKind:
    """A kind of background.

    Attributes:
        name: Name that texts use, with its article.
        clips: Labels of its clips by corpus.
        like: Classes of events that are too like it to be added to it.
    """

    name: str
    clips: dict[str, tuple[str, ...]]
    like: frozenset[str]


@dataclass(frozen=True, slots=True)
class SceneTable:
    """Kinds of backgrounds by their sound, and the names of the classes of events."""

    backgrounds: dict[str, BackgroundKind]
    events: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Sounds:
    sounds: dict[str, tuple[str, ...]]
    vague: tuple[str, ...]


def list_requests() -> tuple[Request, ...]:
    """List the requests of the protocol ``text_only``."""
    return _read("requests.yaml", tuple[Request, ...])


def list_texts() -> Texts:
    """List the texts of the protocol ``unknown``."""
    return _read("texts.yaml", Texts)


def scene_table() -> SceneTable:
    """Return the backgrounds and events of the mixtures."""
    return _read("scenes.yaml", SceneTable)


def sounds_of(clip: SourceClip) -> frozenset[str]:
    """List the sounds that a clip's label names; none for a label that names no listed sound."""
    return sounds_of_label(*class_of(clip))


@cache
def sounds_of_label(corpus: str, label: str) -> frozenset[str]:
    """List the sounds that a label of a corpus names."""
    named = _sounds().sounds.items()
    return frozenset(sound for sound, patterns in named if _matches(corpus, label, patterns))


def is_vague(clip: SourceClip) -> bool:
    """Tell whether a clip's label does not say what is heard."""
    return _matches(*class_of(clip), _sounds().vague)


def class_of(clip: SourceClip) -> tuple[str, str]:
    """Return the corpus and the label of a clip."""
    return corpus_of(clip), clip.columns.get("label", "")


def list_sounds() -> tuple[str, ...]:
    """List all sounds."""
    return tuple(_sounds().sounds)


def names_event(event: str, *names: str) -> bool:
    """Tell whether a phrase of a text bank names a class of events.

    Args:
        event: The class, as in ``phrases.yaml``.
        names: The phrase, and its label.
    """
    patterns = _phrases().get(event, ())
    plain = [without_article(_normalise(name)) for name in names]
    return any(re.fullmatch(pattern, name) for pattern in patterns for name in plain)


def hash_tables() -> str:
    """Hash all tables: figures of other tables cannot be compared."""
    return hash_parts([_file(name) for name in FILES])


def _matches(corpus: str, label: str, patterns: Sequence[str]) -> bool:
    plain = _normalise(label)
    full = f"{corpus}: {plain}"
    return any(re.fullmatch(each, full if ": " in each else plain) for each in patterns)


def _normalise(label: str) -> str:
    return label.lower().replace("_", " ")


@cache
def _sounds() -> _Sounds:
    return _read("sounds.yaml", _Sounds)


@cache
def _phrases() -> dict[str, tuple[str, ...]]:
    return _read("phrases.yaml", dict[str, tuple[str, ...]])


def _read(name: str, kind: type[T]) -> T:
    return TypeAdapter(kind).validate_python(yaml.safe_load(_file(name)))


def _file(name: str) -> str:
    return resources.files("training.evaluation.words").joinpath(name).read_text("utf-8")
