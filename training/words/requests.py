"""Random draw of requests whose sounds, and the change of each of them, are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Formatter
from typing import Literal

import numpy as np
import yaml
from pydantic import TypeAdapter

from service.inference.understanding import Change
from training.scenes.changes import CHANGE_KINDS
from training.words.grammar import list_phrasings
from training.words.names import Part

SEVERAL = 0.25  # share of places with more than one sound
ADJECTIVE, TAIL = 0.06, 0.09  # shares of sounds with a further word that belongs to them
TYPO = 0.06  # share of requests with a mistake in typing
DESCRIPTION, MIXED, WITHOUT_SOUND = 0.3, 0.15, 0.03  # shares of the kinds of text
ARTICLE = 0.45  # share of names without an article that get one, where the phrasing takes it
ARTICLES = ("a", "an", "the", "some")


@dataclass(frozen=True, slots=True)
class Span:
    """A sound in a text.

    Attributes:
        start: Its first character.
        end: The character after its last.
        change: What is asked for about it.
    """

    start: int
    end: int
    change: Change


@dataclass(frozen=True, slots=True)
class Request:
    """A text and its sounds, in their order."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The content of requests.yaml."""

    seen: dict[Change, tuple[str, ...]]
    held_out: dict[Change, tuple[str, ...]]
    silences: dict[Part, tuple[str, ...]]
    without_sounds: tuple[str, ...]
    frames: dict[Literal["requests", "descriptions"], tuple[str, ...]]
    joined: dict[Literal["descriptions", "mixed", "requests"], tuple[str, ...]]
    adjectives: tuple[str, ...]
    tails: tuple[str, ...]


class RequestGrammar:
    """Draws requests about given sounds.

    Args:
        sounds: Names of sounds, with or without an article.
        part: Part of the phrasings to draw from. Held-out phrasings have no frames, and each text
            has one of them.
    """

    def __init__(self, sounds: Sequence[str], part: Part = "seen") -> None:
        self._sounds = sounds
        self._part: Part = part
        self._words = _read_words()
        self._templates = _templates(part)

    def draw(self, rng: np.random.Generator) -> Request:
        """Draw a request or a description."""
        if self._part == "held_out":
            return self._request(rng)
        kind = rng.random()
        if kind < WITHOUT_SOUND:
            return Request(_choose(self._words.without_sounds, rng), ())
        if kind < WITHOUT_SOUND + DESCRIPTION:
            drawn = self.describe(rng)
        elif kind < WITHOUT_SOUND + DESCRIPTION + MIXED:
            drawn = _join(
                _choose(self._words.joined["mixed"], rng),
                [self._template("{a}", "describe", rng), self._request(rng)],
            )
        else:
            drawn = self._requests(rng)
        return _write_carelessly(drawn, rng)

    def describe(self, rng: np.random.Generator) -> Request:
        """Draw a description, which asks for no change."""
        drawn = self._template("{a}", "describe", rng)
        while rng.random() < 0.3:
            form = _choose(self._words.joined["descriptions"], rng)
            drawn = _join(form, [drawn, self._template("{a}", "describe", rng)])
        return _join(_choose(self._words.frames["descriptions"], rng), [drawn])

    def _requests(self, rng: np.random.Generator) -> Request:
        drawn = self._request(rng)
        while rng.random() < 0.25:
            form = _choose(self._words.joined["requests"], rng)
            drawn = _join(form, [drawn, self._request(rng)])
        frames = self._words.frames["requests"]
        return _join(_choose(frames, rng) if rng.random() < 0.6 else "{}", [drawn])

    def _request(self, rng: np.random.Generator) -> Request:
        changes = tuple(self._templates)
        change = changes[int(rng.integers(len(changes)))]
        return self._template(_choose(self._templates[change], rng), change, rng)

    def _template(self, template: str, change: Change, rng: np.random.Generator) -> Request:
        """Fill a template."""
        text, spans = "", []
        for literal, form, named, _ in Formatter().parse(template):
            text += literal
            if form is None:
                continue
            of_sound = TypeAdapter(Change).validate_python(named) if named else change
            for piece, is_sound in self._place(form, rng):
                if is_sound:
                    spans.append(Span(len(text), len(text) + len(piece), of_sound))
                text += piece
        return Request(text, tuple(spans))

    def _place(self, form: str, rng: np.random.Generator) -> list[tuple[str, bool]]:
        """Draw the sounds of one place, with the words between them: text, whether a sound."""
        if form == "silence":
            return [(_choose(self._words.silences[self._part], rng), True)]
        pieces = self._sound(form, rng)
        while rng.random() < SEVERAL:
            between = _choose((" and ", ", ", " & ", " or "), rng)
            other = "bare" if rng.random() < 0.5 else form
            pieces += [(between, False), *self._sound(other, rng)]
        return pieces

    def _sound(self, form: str, rng: np.random.Generator) -> list[tuple[str, bool]]:
        name = _choose(self._sounds, rng)
        if form == "the":
            article, bare = "the", split_article(_elaborate(name, rng))[1]
        elif form == "bare":
            article, bare = "", split_article(_elaborate(name, rng))[1]
        else:
            article, bare = split_article(vary_sound(name, rng))
        return [(f"{article} ", False), (bare, True)] if article else [(bare, True)]


def vary_sound(name: str, rng: np.random.Generator) -> str:
    """Vary the name of a sound: with an article, an adjective, or where it is."""
    article, bare = split_article(_elaborate(name, rng))
    if not article and rng.random() < ARTICLE:
        article = _choose(ARTICLES, rng)
    return f"{article} {bare}".strip()


def _elaborate(name: str, rng: np.random.Generator) -> str:
    words = _read_words()
    article, bare = split_article(name)
    if rng.random() < ADJECTIVE:
        bare, article = f"{_choose(words.adjectives, rng)} {bare}", "a" if article else ""
    if rng.random() < TAIL:
        bare = f"{bare} {_choose(words.tails, rng)}"
    return f"{article} {bare}".strip()


def ask_for(changes: Mapping[Change, str], rng: np.random.Generator) -> str:
    """Ask for the changes of some sounds, in phrasings of requests.yaml.

    Args:
        changes: Name of the sound of each change, without an article. ``instead_of`` takes the
            sound that is added, if there is one, into its own phrasing.
        rng: Chooses the phrasings.
    """
    asked = [each for each in changes if each != "add" or "instead_of" not in changes]
    filled = []
    for change in asked:
        options = _read_words().seen[change]
        fitting = [o for o in options if all(n in changes for n in _named(o, change))]
        text = ""
        template = _choose(fitting, rng)
        for literal, form, named, _ in Formatter().parse(template):
            text += literal
            if form is not None:
                sound = changes[TypeAdapter(Change).validate_python(named or change)]
                text += {"a": "a ", "the": "the "}.get(form, "") + sound
        filled.append(text)
    return " and ".join(filled)


def _named(template: str, change: Change) -> list[str]:
    """List the changes of the places of a template."""
    parsed = Formatter().parse(template)
    return [named or change for _, form, named, _ in parsed if form is not None]


def split_article(name: str) -> tuple[str, str]:
    """Split a name into its article, empty if it has none, and the rest."""
    article, _, rest = name.partition(" ")
    return (article, rest) if article in ARTICLES and rest else ("", name)


def _join(form: str, parts: Sequence[Request]) -> Request:
    """Put requests into a form with a ``{}`` for each."""
    text, spans, remaining = "", [], list(parts)
    for i, literal in enumerate(form.split("{}")):
        if i > 0:
            part = remaining.pop(0)
            offset = len(text)
            spans += [Span(s.start + offset, s.end + offset, s.change) for s in part.spans]
            text += part.text
        text += literal
    return Request(text, tuple(spans))


def _write_carelessly(request: Request, rng: np.random.Generator) -> Request:
    """Add what people do when they type: a full stop, capitals, an exchanged pair of letters."""
    text = request.text
    if rng.random() < TYPO:
        places = [m.start() for m in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
        if places:
            at = places[int(rng.integers(len(places)))]
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if rng.random() < 0.1:
        text += _choose((".", "!", "?", " ..."), rng)
    if rng.random() < 0.1:
        text = text.upper() if rng.random() < 0.3 else text.capitalize()
    return Request(text, request.spans)


def _templates(part: Part) -> dict[Change, tuple[str, ...]]:
    """Return the templates of each change, those of phrasings.yaml included."""
    words = _read_words()
    templates = dict(words.seen if part == "seen" else words.held_out)
    for kind in CHANGE_KINDS:
        templates[kind] = (*templates[kind], *list_phrasings(kind, part))
    return templates


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


@cache
def _read_words() -> _Words:
    content = resources.files("training.words").joinpath("requests.yaml").read_text("utf-8")
    return TypeAdapter(_Words).validate_python(yaml.safe_load(content))
