from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import words
from training.errors import DatasetError
from training.scenes.changes import CHANGE_KINDS, Change
from training.scenes.scene import get_scene

# What carries no meaning of its own: articles, pronouns, prepositions, particles, auxiliaries,
# degrees. Everything else counts as a verb or a noun, adjectives included.
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

# Facts, section 3.8: written by others, and not ours to use.
CAPTIONS = """
add the thunder - remove the dog - make the rain louder - make the rain quieter -
add sound of thunder - remove sound of dog barking - add the dog - make the dog louder -
remove the sound of the dog barking - change the sound of the dog barking - add the footsteps -
make the thunder quieter - reduce sound of rain - remove the horn - amplify sound of rain -
add the bird sounds - remove sound of car horn - make the vehicle noise quieter -
make the vehicle noise louder - add sound of church bells - add the bells -
make the horn louder - amplify the sound of the dog barking - reduce sound of traffic -
reduce the volume of the rain - increase sound of traffic - increase the volume of the rain -
reduce the volume of the thunder - amplify the bell and change the melody -
make the rain louder and remove the thunder - increase the overall volume -
decrease overall volume -
decrease the volume of the thunder and make it play slightly earlier -
remove bird sounds and add thumpings - replace chirping with steps -
remove dog barks and increase the volume of thunder -
reduce the volume of the footsteps and the thunder
"""

labels = st.sampled_from(words.labels())
changes = st.builds(Change, st.sampled_from(CHANGE_KINDS), labels)
seeds = st.integers(0, 2**32)


def content_words(text: str) -> set[str]:
    """Reduce a text to the stems of its words that mean something."""
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
    """Find words of one that stand, whole or within a longer one, in the other."""
    return {
        a
        for a, b in product(seen, held_out)
        if a == b or (min(len(a), len(b)) >= 4 and (a in b or b in a))
    }


@pytest.mark.parametrize("kind", CHANGE_KINDS)
def test_held_out_phrasings_share_no_verb_or_noun_with_any_that_is_seen(kind: str) -> None:
    seen = set().union(*(union(words.phrasings(other)) for other in CHANGE_KINDS))
    held_out = words.phrasings(kind, held_out=True)
    assert len(set(held_out)) >= 6
    assert len(set(words.phrasings(kind))) >= 10
    assert all(content_words(phrasing) for phrasing in held_out)
    assert not overlap(seen, union(held_out))


@pytest.mark.parametrize("label", words.labels())
def test_held_out_names_share_no_verb_or_noun_with_the_seen_ones(label: str) -> None:
    seen, held_out = words.names(label), words.names(label, held_out=True)
    assert len(set(held_out)) == 2
    assert len(set(seen)) >= 3
    assert all(content_words(name) for name in held_out)
    assert not overlap(union(seen), union(held_out))


def test_every_class_of_esc_50_and_every_kind_of_background_has_a_name() -> None:
    classes = ESC_50_CLASSES.split()
    assert len(classes) == 50
    assert {*classes, *get_scene("general").kinds} == {*words.labels()}


def test_a_sound_without_a_name_is_refused() -> None:
    draw = np.random.default_rng(0)
    with pytest.raises(DatasetError, match="'unicorn'"):
        words.names("unicorn")
    with pytest.raises(DatasetError, match="'unicorn'"):
        words.describe_changes([Change("add", "unicorn")], draw)
    with pytest.raises(DatasetError, match="'unicorn'"):
        words.describe_sound(["rain", "unicorn"], draw)


@given(change=changes, seed=seeds, held_out=st.booleans())
def test_a_request_is_a_phrasing_filled_with_a_name(
    change: Change, seed: int, held_out: bool
) -> None:
    part: words.Part = "held_out" if held_out else "seen"
    draw = np.random.default_rng(seed)
    text = words.describe_changes([change], draw, phrasings=part, names=part)
    (name,) = [
        max((n for n in words.names(change.label, held_out) if n in text), key=len),
    ]
    skeletons = {
        re.sub(r"\{\w+\}", "", p).replace(" ", "") for p in words.phrasings(change.kind, held_out)
    }
    rest = re.sub(rf"(\b(the|a|an) )?{re.escape(name)}", "", text, count=1).replace(" ", "")
    assert any(rest.endswith(skeleton) for skeleton in skeletons)
    assert "{" not in text
    assert "  " not in text


@given(one=changes, other=changes, seed=seeds)
def test_two_changes_are_asked_for_in_either_order(one: Change, other: Change, seed: int) -> None:
    def position(label: str, text: str) -> int:
        return min(text.find(name) for name in words.names(label) if name in text)

    if overlap(union(words.names(one.label)), union(words.names(other.label))):
        return
    orders = set()
    for draw in (np.random.default_rng([seed, i]) for i in range(40)):
        text = words.describe_changes([one, other], draw)
        orders.add(position(one.label, text) < position(other.label, text))
    assert orders == {True, False}


def test_the_same_draw_gives_the_same_words() -> None:
    def text(seed: int) -> str:
        draw = np.random.default_rng(seed)
        asked = words.describe_changes([Change("add", "dog"), Change("more", "rain")], draw)
        return asked + words.describe_sound(["rain", "dog"], draw)

    assert text(3) == text(3)
    assert len({text(seed) for seed in range(20)}) > 10


def test_held_out_words_are_drawn_only_where_they_are_asked_for() -> None:
    seen, held_out = union(words.names("dog")), union(words.names("dog", held_out=True))
    for seed in range(50):
        draw = np.random.default_rng(seed)
        asked = words.describe_changes([Change("add", "dog")], draw)
        described = words.describe_sound(["dog"], draw)
        for text in (asked, described):
            assert content_words(text) & seen
            assert not content_words(text) & held_out
        renamed = words.describe_changes([Change("add", "dog")], draw, names="held_out")
        assert content_words(renamed) & held_out


def test_no_caption_of_others_is_among_ours() -> None:
    """The parts of captions that join two changes are looked for as well."""
    captions = set(re.split(r"\s-\s", " ".join(CAPTIONS.split())))
    assert len(captions) == 37
    captions |= {part for caption in captions for part in caption.split(" and ")}
    ours = set()
    for part in (False, True):
        for kind, label in product(CHANGE_KINDS, words.labels()):
            every_name = words.names(label) + words.names(label, held_out=True)
            for phrasing, name in product(words.phrasings(kind, part), every_name):
                for article in ("", "a ", "an "):
                    ours.add(phrasing.format(a=article + name, the=f"the {name}", bare=name))
    assert not ours & captions


@given(heard=st.lists(labels, min_size=1, max_size=3, unique=True), seed=seeds)
def test_a_description_names_everything_that_is_heard(heard: list[str], seed: int) -> None:
    text = words.describe_sound(heard, np.random.default_rng(seed))
    for label in heard:
        assert any(name in text for name in words.names(label))
