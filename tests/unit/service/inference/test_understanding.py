from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import tiny_towers
import tiny_understanding

from service.bundle.files import load_bundle
from service.bundle.manifest import BundleManifest
from service.errors import BundleError
from service.inference.tokenizer import Tokens
from service.inference.towers import EncodedText, Towers
from service.inference.understanding import (
    CHANGES,
    DIRECTIONS,
    MAX_SOUNDS,
    TAGS,
    read_sounds,
)


def tokens_of(*words: str) -> tuple[str, Tokens]:
    """Return a text and its tokens; pieces of a word are separated by a bar."""
    text, offsets, numbers = "", [(0, 0)], [-1]
    for number, word in enumerate(words):
        text += " " if text else ""
        for piece in word.split("|"):
            offsets.append((len(text), len(text) + len(piece)))
            numbers.append(number)
            text += piece
    offsets.append((0, 0))
    numbers.append(-1)
    ids = np.zeros(len(numbers), np.int64)
    return text, Tokens(ids, np.array(offsets), np.array(numbers), 0, False, False)


def tagged(*names: str) -> np.ndarray:
    """Return nearly certain probabilities of tags; special tokens are outside."""
    rows = [TAGS.index(name) for name in ("outside", *names, "outside")]
    probabilities = np.full((len(rows), len(TAGS)), 0.1 / (len(TAGS) - 1), np.float32)
    probabilities[np.arange(len(rows)), rows] = 0.9
    return probabilities


def read(words: tuple[str, ...], *names: str) -> list[tuple[str, str]]:
    found = read_sounds(*tokens_of(*words), tagged(*names))
    assert all(0 < each.confidence <= 1 for each in found)
    return [(each.change, each.sound) for each in found]


def test_there_is_one_tag_for_outside_and_two_for_each_change() -> None:
    assert len(TAGS) == len(set(TAGS)) == 1 + 2 * len(CHANGES)


def test_a_beginning_separates_sounds_that_touch() -> None:
    words = ("rain", "wind", "noise")
    tags = ("add.begin", "add.begin", "add.inside")
    assert read(words, *tags) == [("add", "rain"), ("add", "wind noise")]


def test_a_sound_needs_no_beginning_and_ends_at_the_first_word_outside() -> None:
    words = ("no", "rain", "or", "wind")
    tags = ("outside", "remove.inside", "outside", "remove.inside")
    assert read(words, *tags) == [("remove", "rain"), ("remove", "wind")]


def test_the_pieces_of_a_word_stay_together() -> None:
    words = ("thun|der", "storm")
    tags = ("less.begin", "less.begin", "less.inside")
    assert read(words, *tags) == [("less", "thunder storm")]


def test_the_change_of_a_sound_is_that_of_most_of_its_words() -> None:
    words = ("a", "big", "dog")
    tags = ("more.begin", "only.inside", "only.inside")
    assert read(words, *tags) == [("only", "a big dog")]


def test_the_direction_counts_more_than_the_single_change() -> None:
    tags = tagged("add.begin")
    tags[1] = 0
    for tag, probability in (("only", 0.4), ("more", 0.3), ("louder", 0.2), ("describe", 0.1)):
        tags[1, TAGS.index(f"{tag}.begin")] = probability

    (found,) = read_sounds(*tokens_of("rain"), tags)

    assert (found.change, found.confidence) == ("more", pytest.approx(0.3))
    assert sorted(change for each in DIRECTIONS for change in each) == sorted(CHANGES)


def test_a_text_without_sounds_or_words_has_none() -> None:
    assert read(("make", "it"), "outside", "outside") == []
    assert read(()) == []


def test_a_limited_number_of_sounds_is_read() -> None:
    n = MAX_SOUNDS + 3
    assert len(read(("rain",) * n, *["add.begin"] * n)) == MAX_SOUNDS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_bundle.write(tmp_path_factory.mktemp("understanding"), towers=0)
    return tiny_understanding.add(folder)


def opened(path: Path) -> Towers:
    towers = Towers.open(load_bundle(path), device="cpu", threads=1)
    assert towers is not None
    return towers


def encode(path: Path, text: str) -> EncodedText:
    encoded = opened(path).text.encode(text)
    assert encoded is not None
    return encoded


def test_the_service_reads_sounds_changes_and_unknown_texts_of_a_bundle(path: Path) -> None:
    opened(path).check(load_bundle(path))
    encoded = encode(path, "LOW without  high")
    sounds = [(each.change, each.sound) for each in encoded.sounds]
    assert sounds == [("describe", "LOW"), ("remove", "high")]
    for text, is_unknown in (("low", False), ("qwerty asdf", True)):
        novelty = encode(path, text).novelty
        assert novelty is not None
        assert novelty.is_unknown == is_unknown
        assert len(novelty.nearest) == 3


def test_the_vector_of_a_text_is_that_without_understanding(
    path: Path, towers_bundle_path: Path
) -> None:
    for text in ("low", "without high"):
        expected = encode(towers_bundle_path, text)
        np.testing.assert_array_equal(encode(path, text).vector, expected.vector)
        assert expected.sounds == ()
        assert expected.novelty is None


def test_a_lone_surrogate_is_read_as_a_question_mark(path: Path) -> None:
    sounds = encode(path, "\ud800 with low").sounds
    assert [each.sound for each in sounds] == ["low"]


@pytest.mark.parametrize(
    ("array", "value", "fault"),
    [
        ("sounds", np.array(["add: low"]), "the sounds of the known answer"),
        ("unknown", np.array(0.9), "another text for the detector"),
    ],
)
def test_other_sounds_than_those_of_the_known_answer_are_refused(
    path: Path, tmp_path: Path, array: str, value: np.ndarray, fault: str
) -> None:
    changed = tiny_understanding.add(tiny_bundle.write(tmp_path, towers=0))
    file = changed / tiny_towers.KNOWN_ANSWER_FILE
    with np.load(file) as stored:
        arrays = dict(stored)
    np.savez(file, **arrays | {array: value})
    tiny_understanding.relist(changed, load_manifest(changed))
    with pytest.raises(BundleError, match=fault):
        opened(changed).check(load_bundle(changed))


def test_other_tags_and_a_damaged_detector_are_refused(tmp_path: Path) -> None:
    changed = tiny_understanding.add(tiny_bundle.write(tmp_path, towers=0))
    about = load_manifest(changed)
    assert about.towers is not None
    assert about.towers.understanding is not None
    other = about.towers.understanding.model_copy(update={"tags": TAGS[:-1]})
    towers = about.towers.model_copy(update={"understanding": other})
    tiny_understanding.relist(changed, about.model_copy(update={"towers": towers}))
    with pytest.raises(BundleError, match="other tags"):
        opened(changed)

    (changed / tiny_understanding.NOVELTY_FILE).write_bytes(b"words")
    tiny_understanding.relist(changed, about)
    with pytest.raises(BundleError, match="no detector of unknown texts"):
        opened(changed)


def load_manifest(path: Path) -> BundleManifest:
    return BundleManifest.model_validate_json((path / "bundle.json").read_bytes())
