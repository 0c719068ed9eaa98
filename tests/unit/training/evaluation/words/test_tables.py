from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml

from training.data.manifest import SourceClip
from training.evaluation.words.tables import (
    is_vague,
    list_requests,
    list_sounds,
    list_texts,
    names_event,
    scene_table,
    sounds_of,
    sounds_of_label,
)
from training.words.names import without_article


def labelled(corpus: str, label: str) -> SourceClip:
    return SourceClip(Path("data"), "clip.opus", {"corpus": corpus, "label": label})


@pytest.mark.parametrize(
    ("corpus", "label", "expected"),
    [
        ("esc50", "dog", {"dog"}),
        ("game_sfx2", "small dog barking", {"dog"}),
        ("berklee_foley", "rain and thunder", {"rain", "thunder"}),
        ("noise_of_life", "FemaleCry", {"crying_woman"}),
        ("speech_commands_9", "zero", {"speech", "digits"}),
        ("noise_of_life", "Keyboard", {"typing"}),
        ("gm_notes", "keyboard", {"piano"}),
        ("misc_cc", "man imitating a cat meowing", set()),
        ("sfx_pool", "fire_gun", set()),
    ],
)
def test_a_label_names_its_sounds(corpus: str, label: str, expected: set[str]) -> None:
    assert sounds_of(labelled(corpus, label)) == expected


def test_a_label_that_says_nothing_is_vague_and_names_no_sound() -> None:
    for corpus, label in (("sfx_pool", "game_ambience"), ("berklee_foley", "misc clicks")):
        assert is_vague(labelled(corpus, label))
        assert not sounds_of_label(corpus, label)
    assert not is_vague(labelled("sfx_pool", "game_fire"))
    assert not is_vague(labelled("esc50", "rain"))


def trained_texts() -> set[str]:
    """Every text of the files that towers and their detectors are trained from."""
    files = resources.files("training.words").iterdir()
    contents = [yaml.safe_load(file.read_text()) for file in files if file.name.endswith(".yaml")]
    return {without_article(text.lower()) for text in texts_in(contents)}


def texts_in(content: object) -> Iterator[str]:
    """Yield every text of nested lists and mappings, without keys and what is never trained on."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from texts_in(part)
    elif isinstance(content, dict):
        for name, part in content.items():
            if name != "held_out":
                yield from texts_in(part)


def test_every_request_asks_for_known_sounds_in_other_words_than_trained_texts() -> None:
    requests = list_requests()
    trained = trained_texts()

    assert "dog barking" in trained
    assert len({request.text for request in requests}) == len(requests) >= 60
    for request in requests:
        assert set(request.sounds) <= set(list_sounds())
        assert without_article(request.text.lower()) not in trained


def test_known_texts_and_nonsense_are_different_and_nonsense_is_never_trained() -> None:
    texts = list_texts()
    nonsense = [text for group in texts.nonsense.values() for text in group]
    known = [request.text for request in (*texts.known, *list_requests())]

    assert len(nonsense) == len(set(nonsense)) >= 60
    assert not set(nonsense) & set(known)
    assert all(set(name.sounds) <= set(list_sounds()) for name in texts.known)
    assert not {without_article(text.lower()) for text in nonsense} & trained_texts()


def test_a_kind_of_background_holds_its_sound_and_no_event_like_it() -> None:
    table = scene_table()
    for kind, background in table.backgrounds.items():
        for corpus, labels in background.clips.items():
            assert all(kind in sounds_of_label(corpus, label) for label in labels), kind
        assert background.like <= set(table.events), kind
        added = set(table.events) - background.like
        assert not any(kind in sounds_of_label("esc50", label) for label in added), kind


def test_every_event_has_a_sound_and_is_named_by_the_name_that_texts_use() -> None:
    for label, name in scene_table().events.items():
        assert sounds_of_label("esc50", label)
        assert names_event(label, name), label


@pytest.mark.parametrize(
    ("event", "phrase", "named"),
    [
        ("dog", "A puppy", True),
        ("dog", "dog_barking", True),
        ("dog", "an animal", False),
        ("cat", "dog barking", False),
        ("church_bells", "church bells ringing", True),
        ("door_wood_creaks", "a door", True),
        ("door_wood_knock", "a door", False),
        ("hen", "a rooster crowing", False),
    ],
)
def test_a_phrase_names_an_event_by_its_synonyms_only(
    event: str, phrase: str, *, named: bool
) -> None:
    assert names_event(event, phrase) == named
