"""Words for changes and sounds: a grammar of phrasings, and several names for every sound.

Part of both is held out: listed here before anything is trained, and never trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np
import yaml
from pydantic import TypeAdapter

from training.errors import DatasetError
from training.scenes.changes import Change, ChangeKind

Part = Literal["seen", "held_out"]
Form = Literal["imperatives", "phrases"]
FORMS: tuple[Form, ...] = ("imperatives", "phrases")
# Of two changes of one kind, how many are asked for in one breath: "add rain and thunder".
SHARED = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grammar:
    """The content of phrasings.yaml."""

    seen: dict[ChangeKind, dict[Form, tuple[str, ...]]]
    held_out: dict[ChangeKind, dict[Form, tuple[str, ...]]]
    frames: dict[Form, tuple[str, ...]]
    connectives: tuple[str, ...]
    sounds: dict[Literal["alone", "joined", "frames"], tuple[str, ...]]

    def part(self, part: Part) -> dict[ChangeKind, dict[Form, tuple[str, ...]]]:
        return self.seen if part == "seen" else self.held_out


def describe_changes(
    changes: Sequence[Change],
    draw: np.random.Generator,
    *,
    phrasings: Part = "seen",
    names: Part = "seen",
) -> str:
    """Ask for one change or two, in either order: "add a dog, and take out the rain".

    Args:
        changes: What to ask for.
        draw: Chooses the words.
        phrasings: Which phrasings to draw from.
        names: Which names to draw from.

    Raises:
        DatasetError: A sound has no name.
    """
    grammar = _grammar()
    form = FORMS[int(draw.integers(len(FORMS)))]
    frame = _one(grammar.frames[form], draw) if phrasings == "seen" else "{}"
    ordered = [changes[i] for i in draw.permutation(len(changes))]
    said = [_one(_names(change.label, names), draw) for change in ordered]
    named = [(change.kind, [name]) for change, name in zip(ordered, said, strict=True)]
    if len({kind for kind, _ in named}) == 1 and draw.random() < SHARED:
        named = [(ordered[0].kind, said)]
    options = grammar.part(phrasings)
    asked = [_fill(_one(options[kind][form], draw), sounds) for kind, sounds in named]
    return frame.format(_join(asked, grammar.connectives, draw))


def describe_sound(
    labels: Sequence[str], draw: np.random.Generator, *, names: Part = "seen"
) -> str:
    """Say what is heard in a clip, in any order: "rain with a dog barking".

    Args:
        labels: Classes of events and kinds of backgrounds, at least one.
        draw: Chooses the words.
        names: Which names to draw from.

    Raises:
        DatasetError: A sound has no name.
    """
    grammar = _grammar()
    said = [_one(_names(label, names), draw) for label in labels]
    said = [said[i] for i in draw.permutation(len(said))]
    if len(said) == 1:
        return _fill(_one(grammar.sounds["alone"], draw), said)
    frame = _one(grammar.sounds["frames"], draw)
    return frame.format(_join(said, grammar.sounds["joined"], draw))


def names(label: str, held_out: bool = False) -> tuple[str, ...]:
    """Name a sound without articles, the plainest name first.

    Raises:
        DatasetError: The sound has no name.
    """
    return tuple(_bare(name) for name in _names(label, "held_out" if held_out else "seen"))


def phrasings(kind: ChangeKind, held_out: bool = False) -> tuple[str, ...]:
    """List the phrasings of a change, with ``{a}``, ``{the}`` or ``{bare}`` for the sound."""
    forms = _grammar().part("held_out" if held_out else "seen")[kind]
    return tuple(phrasing for form in FORMS for phrasing in forms[form])


def labels() -> tuple[str, ...]:
    """List every sound that has names."""
    return tuple(_all_names())


def _fill(template: str, said: Sequence[str]) -> str:
    return template.format(
        a=" and ".join(said),
        the=" and ".join(f"the {_bare(name)}" for name in said),
        bare=" and ".join(_bare(name) for name in said),
    )


def _bare(name: str) -> str:
    article, _, rest = name.partition(" ")
    return rest if article in ("a", "an", "the") else name


def _join(parts: Sequence[str], joints: Sequence[str], draw: np.random.Generator) -> str:
    joined, *rest = parts
    for part in rest:
        joined = _one(joints, draw).format(joined, part)
    return joined


def _one(options: Sequence[str], draw: np.random.Generator) -> str:
    return options[int(draw.integers(len(options)))]


def _names(label: str, part: Part) -> tuple[str, ...]:
    try:
        return _all_names()[label][part]
    except KeyError:
        raise DatasetError(f"names.yaml has no name for the sound {label!r}") from None


@cache
def _all_names() -> dict[str, dict[Part, tuple[str, ...]]]:
    return TypeAdapter(dict[str, dict[Part, tuple[str, ...]]]).validate_python(_read("names.yaml"))


@cache
def _grammar() -> _Grammar:
    return TypeAdapter(_Grammar).validate_python(_read("phrasings.yaml"))


def _read(name: str) -> object:
    return yaml.safe_load(resources.files("training.words").joinpath(name).read_text("utf-8"))
