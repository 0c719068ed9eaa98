from __future__ import annotations

import math

import pytest

from service.inference.phrases import RankedPhrase
from service.retrieval.change_calibration import ChangeDecision, DirectionDecision, What
from service.retrieval.description import ChangeSide, describe, level_over_rest_db, told

DOG = [RankedPhrase("dog barking", "dog", 0.8), RankedPhrase("a cat", "cat", 0.5)]
RAIN = [RankedPhrase("rain", "rain", 0.7), RankedPhrase("hail", "hail", 0.69)]


def decision(what: What, rate: float = 0.01) -> ChangeDecision:
    side = DirectionDecision(2.0, 1.0, rate)
    leaning: What = "added" if what == "nothing" else what
    return ChangeDecision(what, leaning, what != "nothing", 2.0, 1.0, rate, side, side)


def test_an_addition_is_told_with_name_time_level_and_certainty() -> None:
    added = ChangeSide(DOG, 3.21, 5.04, 6.4)

    text = describe(added, ChangeSide(RAIN), decision("added", 0.012), is_equal=False)

    assert text == (
        "A sound like “dog barking” was added from 3.2 s to 5.0 s, about 6 dB louder than the rest."
        " Likely: 1 % of unchanged recordings differ as much by themselves."
    )


@pytest.mark.parametrize(
    ("what", "words", "others"),
    [
        ("added", ["“dog barking” was added"], ["gone", "rain"]),
        ("removed", ["“rain” or “hail”, is gone"], ["added", "dog"]),
        ("both", ["“dog barking” was added", "“rain” or “hail”, is gone"], []),
        ("nothing", ["Nothing was clearly added or removed"], ["dog", "rain"]),
    ],
)
def test_only_the_sides_that_changed_are_told(
    what: What, words: list[str], others: list[str]
) -> None:
    rate = 0.9 if what == "nothing" else 0.01
    text = describe(ChangeSide(DOG), ChangeSide(RAIN), decision(what, rate), is_equal=False)

    for word in words:
        assert word in text
    for word in others:
        assert word not in text.replace("added or removed", "")
    assert text.count(". ") <= 1


def test_a_phrase_is_not_said_twice() -> None:
    twice = [RankedPhrase("rain", label, 0.7) for label in ("rain", "shower")]

    alone = describe(ChangeSide(twice), ChangeSide([]), decision("added"), is_equal=False)
    among = describe(
        ChangeSide(twice + RAIN[1:]), ChangeSide([]), decision("added"), is_equal=False
    )

    assert alone.startswith("A sound like “rain” was added.")
    assert among.startswith("A sound, perhaps “rain” or “hail”, was added.")


def test_a_change_that_is_not_clear_is_told_as_a_possibility() -> None:
    added = ChangeSide(DOG, 1.0, 2.0)

    text = describe(added, ChangeSide(RAIN), decision("nothing", 0.2), is_equal=False)

    assert text == (
        "Nothing was clearly added or removed: 20 % of unchanged recordings differ as much by"
        " themselves. If anything, a sound like “dog barking” was added from 1.0 s to 2.0 s."
    )
    assert told(decision("nothing", 0.2)) == "added"
    assert told(decision("nothing", 0.9)) == "nothing"
    assert told(decision("removed")) == "removed"


def test_the_time_of_what_is_gone_is_that_of_the_reference() -> None:
    removed = ChangeSide(RAIN, 0.0, 2.5)

    text = describe(ChangeSide(DOG), removed, decision("removed"), is_equal=False)

    assert "is gone from 0.0 s to 2.5 s of the reference" in text


@pytest.mark.parametrize(
    ("rate", "word"),
    [(0.0, "Almost certain: less than 1 %"), (0.02, "Likely: 2 %"), (0.045, "Probable: 4 %")],
)
def test_certainty_follows_the_rate_of_false_alarms(rate: float, word: str) -> None:
    text = describe(ChangeSide(DOG), ChangeSide([]), decision("added", rate), is_equal=False)

    assert word in text


def test_without_towers_the_sound_has_no_name() -> None:
    text = describe(ChangeSide([]), ChangeSide([]), decision("added"), is_equal=False)

    assert text.startswith("A sound was added.")


def test_without_a_detector_nothing_is_said_to_have_changed() -> None:
    text = describe(ChangeSide(DOG, 1.0, 2.0), ChangeSide([]), None, is_equal=False)

    assert text.startswith("What the mixture has more of is a sound like")
    assert "from 1.0 s to 2.0 s" in text
    assert text.endswith("This bundle is not calibrated to tell whether anything changed.")


def test_equal_sounds_are_said_to_be_equal() -> None:
    for found in (None, decision("nothing", 1.0)):
        text = describe(ChangeSide([]), ChangeSide([]), found, is_equal=True)

        assert text == "Nothing changed: the two are equal."


@pytest.mark.parametrize(("level_db", "share"), [(6.0, 1.0), (-3.0, 0.25), (0.0, 0.5)])
def test_the_level_of_an_added_sound_is_found(level_db: float, share: float) -> None:
    rest = 0.02
    mixture = rest * (1 + share * 10 ** (level_db / 10))

    found = level_over_rest_db(mixture, rest, share)

    assert found is not None
    assert math.isclose(found, level_db, abs_tol=1e-9)


@pytest.mark.parametrize(("louder", "rest"), [(0.1, 0.1), (0.05, 0.1), (0.1, 0.0)])
def test_a_sound_that_does_not_raise_the_level_has_no_level(louder: float, rest: float) -> None:
    assert level_over_rest_db(louder, rest, 1.0) is None
