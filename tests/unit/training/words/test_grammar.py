from __future__ import annotations

import hashlib
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import DatasetError
from training.scenes.changes import CHANGE_KINDS, Change
from training.scenes.recipe import load_scene
from training.words.grammar import describe_changes, describe_sound, list_phrasings
from training.words.names import Part, list_labels, list_names

# Words without a meaning of their own: articles, pronouns, prepositions, particles, auxiliaries,
# degrees. Every other word counts as a verb or a noun, adjectives included.
STOP_WORDS = """
    a an the it its their some any no all this also too as well now much bit lot clearly more less
    of in on at to from with without by into over up down out off away behind along and like same
    but is are be being
"""
ENDINGS = ("ing", "ed", "es", "er", "s", "e")
ESC_50_CLASSES = """
    dog rooster pig cow frog cat hen insects sheep crow rain sea_waves crackling_fire crickets
    chirping_birds water_drops wind pouring_water toilet_flush thunderstorm crying_baby sneezing
    clapping breathing coughing footsteps laughing brushing_teeth snoring drinking_sipping
    door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine
    vacuum_cleaner clock_alarm clock_tick glass_breaking helicopter chainsaw siren car_horn engine
    train church_bells airplane fireworks hand_saw
"""

# First 16 digits of the sha256 of 37 captions of AudioDiffCaps, and of their parts around "and"
# (docs/method.md, "Words for a change"). The captions are not ours to publish.
CAPTION_HASHES = """
    05e7f3fa7973bef9 0764cab2c95e3cab 0992d0d11a32de43 0cdef5b6674da29b 183c90b6bf3dc2da
    20a7a0e1f87ab7ba 307075e27d49cb00 364bc6fe7a134a85 3efd82cc027d4e08 40c56c2d5d979a68
    425bfb0fad9bf637 4adfdfe03d507a6c 4c8860195d69ffca 518495c1d3e0f4d7 551df56082cc84ce
    5abb8172768fc819 5cf4b20ca9ae00d3 6f532efc5e6e8976 74f6ee3a3442e8dd 7709ab0c33b2fb60
    7fbfc5230db2bcb6 800f009b347ccc49 8996441f6cc3393f 8e85919bccd89ed6 8eae66d38eeed1b8
    901d30d0d9781803 92e214593f1cea21 a0fade1e5bc73b6d b00f3e372dc6ee07 b5226998f5d48472
    b87366d43d956e78 b8e63335f980cc06 b9f6f36bcc334278 ba0844a493450fa4 c9bcec8f1a5bc6fd
    cbe12edede59d6a8 cc636c18c16afeb1 d02923c385c17d68 d30837bd466a7ac0 d318b543549ad637
    d7eb1505ac6a99a3 d9fc89c98b82958f deb7e828c0519009 e2b0b004d22cc9e9 eadceb42216fff6a
    f7788bf93a2a4094 f798df2b9c9af377 faf3cca5b201ce8f
"""

PARTS: tuple[Part, ...] = ("seen", "held_out")

labels = st.sampled_from(list_labels())
changes = st.builds(Change, st.sampled_from(CHANGE_KINDS), labels)
seeds = st.integers(0, 2**32)


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_words(text: str) -> set[str]:
    """Reduce a text to the stems of its words that are not stop words."""
    found = re.findall(r"[a-z]+", re.sub(r"\{\w*\}", " ", text.lower()))
    return {stem(word) for word in found if word not in STOP_WORDS.split()}


def stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if word[-1:] == word[-2:-1] else word


def union(texts: tuple[str, ...]) -> set[str]:
    return set().union(*(content_words(text) for text in texts))


def overlap(seen: set[str], held_out: set[str]) -> set[str]:
    """Find words of one set that are equal to a word of the other or part of one."""
    return {
        a
        for a, b in product(seen, held_out)
        if a == b or (min(len(a), len(b)) >= 4 and (a in b or b in a))
    }


@pytest.mark.parametrize("kind", CHANGE_KINDS)
def test_held_out_phrasings_share_no_verb_or_noun_with_any_that_is_seen(kind: str) -> None:
    seen = set().union(*(union(list_phrasings(other)) for other in CHANGE_KINDS))
    held_out = list_phrasings(kind, "held_out")
    assert len(set(held_out)) >= 6
    assert len(set(list_phrasings(kind))) >= 10
    assert all(content_words(phrasing) for phrasing in held_out)
    assert not overlap(seen, union(held_out))


@pytest.mark.parametrize("label", list_labels())
def test_held_out_names_share_no_verb_or_noun_with_the_seen_ones(label: str) -> None:
    seen, held_out = list_names(label), list_names(label, "held_out")
    assert len(set(held_out)) == 2
    assert len(set(seen)) >= 3
    assert all(content_words(name) for name in held_out)
    assert not overlap(union(seen), union(held_out))


def test_every_class_of_esc_50_and_every_kind_of_background_has_a_name() -> None:
    classes = ESC_50_CLASSES.split()
    assert len(classes) == 50
    assert {*classes, *load_scene("general").backgrounds.kinds} == {*list_labels()}


def test_a_sound_without_a_name_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DatasetError, match="'unicorn'"):
        list_names("unicorn")
    with pytest.raises(DatasetError, match="'unicorn'"):
        describe_changes([Change("add", "unicorn")], rng)
    with pytest.raises(DatasetError, match="'unicorn'"):
        describe_sound(["rain", "unicorn"], rng)


@given(change=changes, seed=seeds, part=st.sampled_from(PARTS))
def test_a_request_is_a_phrasing_filled_with_a_name(change: Change, seed: int, part: Part) -> None:
    rng = np.random.default_rng(seed)
    text = describe_changes([change], rng, phrasings=part, names=part)
    name = max((n for n in list_names(change.label, part) if n in text), key=len)
    skeletons = {
        re.sub(r"\{\w+\}", "", p).replace(" ", "") for p in list_phrasings(change.kind, part)
    }
    rest = re.sub(rf"(\b(the|a|an) )?{re.escape(name)}", "", text, count=1).replace(" ", "")
    assert any(rest.endswith(skeleton) for skeleton in skeletons)
    assert "{" not in text
    assert "  " not in text


@given(one=changes, other=changes, seed=seeds)
def test_two_changes_are_requested_in_either_order(one: Change, other: Change, seed: int) -> None:
    def position(label: str, text: str) -> int:
        return min(text.find(name) for name in list_names(label) if name in text)

    if overlap(union(list_names(one.label)), union(list_names(other.label))):
        return
    orders = set()
    for rng in (np.random.default_rng([seed, i]) for i in range(40)):
        text = describe_changes([one, other], rng)
        orders.add(position(one.label, text) < position(other.label, text))
    assert orders == {True, False}


def test_the_same_draw_gives_the_same_words() -> None:
    def text(seed: int) -> str:
        rng = np.random.default_rng(seed)
        request = describe_changes([Change("add", "dog"), Change("more", "rain")], rng)
        return request + describe_sound(["rain", "dog"], rng)

    assert text(3) == text(3)
    assert len({text(seed) for seed in range(20)}) > 10


def test_held_out_words_are_drawn_only_on_demand() -> None:
    seen, held_out = union(list_names("dog")), union(list_names("dog", "held_out"))
    for seed in range(50):
        rng = np.random.default_rng(seed)
        request = describe_changes([Change("add", "dog")], rng)
        described = describe_sound(["dog"], rng)
        for text in (request, described):
            assert content_words(text) & seen
            assert not content_words(text) & held_out
        renamed = describe_changes([Change("add", "dog")], rng, names="held_out")
        assert content_words(renamed) & held_out


def test_no_published_caption_is_among_our_texts() -> None:
    """The parts of captions around "and" are compared as well."""
    hashes = set(CAPTION_HASHES.split())
    assert len(hashes) == 48
    texts = set()
    for part in PARTS:
        for kind, label in product(CHANGE_KINDS, list_labels()):
            all_names = list_names(label) + list_names(label, "held_out")
            for phrasing, name in product(list_phrasings(kind, part), all_names):
                for article in ("", "a ", "an "):
                    texts.add(phrasing.format(a=article + name, the=f"the {name}", bare=name))
    assert not hashes & {hash_text(text) for text in texts}


@given(described=st.lists(labels, min_size=1, max_size=3, unique=True), seed=seeds)
def test_a_description_names_every_label(described: list[str], seed: int) -> None:
    text = describe_sound(described, np.random.default_rng(seed))
    for label in described:
        assert any(name in text for name in list_names(label))
