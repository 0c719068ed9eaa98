"""Random draw of texts for changes and sounds from the phrasings and names of the YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from training.scenes.changes import Change, ChangeKind
from training.words.names import Part, names_of, read_words, without_article

Form = Literal["imperatives", "phrases"]
FORMS: tuple[Form, ...] = ("imperatives", "phrases")
# Share of two changes of one kind that are asked for with one verb: "add rain and thunder".
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
    rng: np.random.Generator,
    *,
    phrasings: Part = "seen",
    names: Part = "seen",
) -> str:
    """Ask for one or two changes, in either order: "add a dog, and take out the rain".

    Args:
        changes: The changes.
        rng: Chooses the words.
        phrasings: Part of the phrasings to draw from.
        names: Part of the names to draw from.

    Raises:
        DatasetError: A sound has no name.
    """
    grammar = _grammar()
    form = FORMS[int(rng.integers(len(FORMS)))]
    frame = _choose(grammar.frames[form], rng) if phrasings == "seen" else "{}"
    ordered = [changes[i] for i in rng.permutation(len(changes))]
    chosen = [_choose(names_of(change.label).part(names), rng) for change in ordered]
    named = [(change.kind, [name]) for change, name in zip(ordered, chosen, strict=True)]
    if len({kind for kind, _ in named}) == 1 and rng.random() < SHARED:
        named = [(ordered[0].kind, chosen)]
    options = grammar.part(phrasings)
    requests = [_fill(_choose(options[kind][form], rng), sounds) for kind, sounds in named]
    return frame.format(_join(requests, grammar.connectives, rng))


def describe_sound(labels: Sequence[str], rng: np.random.Generator) -> str:
    """Describe the sounds of a clip, in any order: "rain with a dog barking".

    Args:
        labels: Classes of events and kinds of backgrounds, at least one.
        rng: Chooses the words.

    Raises:
        DatasetError: A sound has no name.
    """
    grammar = _grammar()
    chosen = [_choose(names_of(label).seen, rng) for label in labels]
    chosen = [chosen[i] for i in rng.permutation(len(chosen))]
    if len(chosen) == 1:
        return _fill(_choose(grammar.sounds["alone"], rng), chosen)
    frame = _choose(grammar.sounds["frames"], rng)
    return frame.format(_join(chosen, grammar.sounds["joined"], rng))


def list_descriptions(names: Sequence[str]) -> list[str]:
    """List every description of a sound alone, by each of its names; the first name leads.

    Args:
        names: Names with their articles.
    """
    forms = _grammar().sounds["alone"]
    filled = (_fill(form, [name]) for name in names for form in forms)
    return list(dict.fromkeys(filled))


def list_phrasings(kind: ChangeKind, part: Part = "seen") -> tuple[str, ...]:
    """List the phrasings of a change, with ``{a}``, ``{the}`` or ``{bare}`` for the sound."""
    forms = _grammar().part(part)[kind]
    return tuple(phrasing for form in FORMS for phrasing in forms[form])


def _fill(template: str, names: Sequence[str]) -> str:
    return template.format(
        a=" and ".join(names),
        the=" and ".join(f"the {without_article(name)}" for name in names),
        bare=" and ".join(without_article(name) for name in names),
    )


def _join(parts: Sequence[str], connectives: Sequence[str], rng: np.random.Generator) -> str:
    joined, *rest = parts
    for part in rest:
        joined = _choose(connectives, rng).format(joined, part)
    return joined


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


@cache
def _grammar() -> _Grammar:
    return TypeAdapter(_Grammar).validate_python(read_words("phrasings.yaml"))
