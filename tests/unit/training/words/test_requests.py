from __future__ import annotations

import re
from collections.abc import Iterable
from string import Formatter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.understanding import CHANGES, Change
from training.scenes.changes import CHANGE_KINDS
from training.words import requests
from training.words.grammar import list_phrasings
from training.words.names import Part, list_names
from training.words.requests import RequestGrammar, ask_for, split_article, vary_sound

FUNCTION = frozenset(
    [
        *("a", "an", "the", "it", "its", "any", "no", "not", "all", "this", "also", "too", "as"),
        *("of", "in", "on", "at", "to", "from", "with", "into", "over", "up", "down", "out", "off"),
        *("away", "by", "and", "be", "is", "for", "i", "me", "must", "needs", "let", "more"),
    ]
)
SOUNDS = ("rain", "a dog barking", "church bells", "an old engine")

seeds = st.integers(0, 2**32)


def words_of(part: Part) -> dict[Change, tuple[str, ...]]:
    content = requests._read_words()
    return content.seen if part == "seen" else content.held_out


@given(seeds, st.sampled_from(["seen", "held_out"]))
def test_spans_are_in_order_within_the_text_and_begin_and_end_with_words(
    seed: int, part: Part
) -> None:
    request = RequestGrammar(SOUNDS, part).draw(np.random.default_rng(seed))
    end = 0
    for span in request.spans:
        assert end <= span.start < span.end <= len(request.text)
        sound = request.text[span.start : span.end]
        assert sound == sound.strip()
        assert split_article(sound.lower())[0] == ""
        end = span.end


def test_the_words_of_a_span_are_those_of_a_sound() -> None:
    rng = np.random.default_rng(0)
    grammar = RequestGrammar(["zzzz"])
    drawn = [grammar.draw(rng) for _ in range(500)]
    for request in drawn:
        marked = [
            request.text[s.start : s.end].lower() for s in request.spans if s.change != "none"
        ]
        assert all("zz" in sound for sound in marked)
        assert request.text.lower().count("zzzz") == len(marked)
    assert {span.change for request in drawn for span in request.spans} == set(CHANGES)


@pytest.mark.parametrize("part", ["seen", "held_out"])
def test_every_phrasing_names_known_places_and_changes(part: Part) -> None:
    for change, templates in words_of(part).items():
        for template in templates:
            fields = [(f, named) for _, f, named, _ in Formatter().parse(template) if f is not None]
            assert fields, template
            assert {field for field, _ in fields} <= {"a", "the", "bare", "silence"}
            changes = {named or change for _, named in fields}
            assert changes <= set(get_args(Change))
            assert change in changes


def test_no_phrasing_is_both_seen_and_held_out() -> None:
    seen = {t for templates in words_of("seen").values() for t in templates}
    held_out = {t for templates in words_of("held_out").values() for t in templates}
    assert not seen & held_out


@given(seeds)
def test_a_varied_sound_keeps_its_words(seed: int) -> None:
    varied = vary_sound("a dog barking", np.random.default_rng(seed))
    assert "dog barking" in varied
    assert re.fullmatch(r"[a-z -]+", varied)


@given(seeds)
def test_changes_are_asked_for_with_their_sounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert ask_for({"remove": "xxxx"}, rng).count("xxxx") == 1
    both = ask_for({"remove": "xxxx", "more": "yyyy"}, rng)
    assert both.count("xxxx") == both.count("yyyy") == 1
    replaced = ask_for({"add": "xxxx", "instead_of": "yyyy"}, rng)
    assert "yyyy" in replaced


def test_articles_are_split_off() -> None:
    assert split_article("the rain") == ("the", "rain")
    assert split_article("anvil") == ("", "anvil")
    assert split_article("a") == ("", "a")
    assert list_names("dog")[0] == "dog barking"


def test_held_out_requests_share_no_verb_or_noun_with_any_that_is_seen() -> None:
    seen = {word for templates in words_of("seen").values() for word in content_words(templates)}
    seen |= {w for kind in CHANGE_KINDS for w in content_words(list_phrasings(kind))}
    for part in (words_of("held_out"), {k: list_phrasings(k, "held_out") for k in CHANGE_KINDS}):
        for templates in part.values():
            assert templates
            assert not content_words(templates) & seen


def content_words(templates: Iterable[str]) -> set[str]:
    """Return the stems of the words that have a meaning of their own."""
    texts = (re.sub(r"\{[^}]*\}", " ", template.lower()) for template in templates)
    words = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    return {re.sub(r"(ing|ed|es|er|s|e)$", "", w) if len(w) > 4 else w for w in words - FUNCTION}
