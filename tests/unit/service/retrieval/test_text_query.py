"""Texts that ask for changes, against sums that are written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import tiny_towers
import tiny_understanding

from service.bundle.files import load_bundle
from service.bundle.understanding import CompositionWeights
from service.inference.towers import Towers
from service.inference.understanding import CHANGES
from service.retrieval.query import Modifier
from service.retrieval.text_query import TextPart, compose_sounds, read_modifier

WEIGHTS = CompositionWeights(
    sentence=0.0, describe=0.9, add=1.1, remove=-1.3, louder=0.7, quieter=-0.6, more=0.5, less=-0.4
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_bundle.write(tmp_path_factory.mktemp("text_query"), towers=0)
    return tiny_understanding.add(folder, WEIGHTS)


@pytest.fixture(scope="module")
def towers(path: Path) -> Towers:
    return opened(path)


def opened(path: Path) -> Towers:
    towers = Towers.open(load_bundle(path), device="cpu", threads=1)
    assert towers is not None
    return towers


def vector(part: TextPart) -> np.ndarray:
    assert part.vector is not None
    return part.vector


def unit(path: Path, word: str) -> np.ndarray:
    encoded = tiny_towers.encode_text(path, word)
    return encoded / np.linalg.norm(encoded)


def codes(part: TextPart) -> list[str]:
    return [notice.code for notice in part.notices]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("with high", {"high": 1.1}),
        ("without high", {"high": -1.3}),
        ("louder high", {"high": 0.7}),
        ("quieter high less low", {"high": -0.6, "low": -0.4}),
        ("low without high", {"low": 0.9, "high": -1.3}),
        ("with high with high", {"high": 2.2}),
    ],
)
@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_sounds_are_added_with_the_weights_of_their_changes(
    path: Path, towers: Towers, text: str, weights: dict[str, float], strength: float
) -> None:
    found = vector(read_modifier(Modifier(text, strength), towers))
    expected = sum(weight * unit(path, word) for word, weight in weights.items())
    np.testing.assert_allclose(found, strength * np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize("text", ["low", "a low high", "louder", "qwerty"])
def test_a_text_without_changes_has_the_vector_of_the_whole_text(
    path: Path, towers: Towers, text: str
) -> None:
    found = vector(read_modifier(Modifier(text), towers))
    np.testing.assert_allclose(found, tiny_towers.encode_text(path, text), atol=1e-6)


@pytest.mark.parametrize("text", ["quieter high", "less low", "with high more low"])
def test_a_text_alone_names_the_sounds_that_it_would_change(
    path: Path, towers: Towers, text: str
) -> None:
    found = vector(read_modifier(Modifier(text), towers, is_alone=True))
    np.testing.assert_allclose(found, tiny_towers.encode_text(path, text), atol=1e-6)


def test_a_text_alone_may_exclude_a_sound(path: Path, towers: Towers) -> None:
    found = vector(read_modifier(Modifier("quieter low without high"), towers, is_alone=True))
    expected = 0.9 * unit(path, "low") - 1.3 * unit(path, "high")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_whole_text_has_its_own_weight() -> None:
    sentence, sound = np.array([1.0, 2.0], np.float32), np.array([0.0, 4.0], np.float32)
    weights = CompositionWeights(sentence=0.5, remove=-2.0)
    found = compose_sounds(sentence, [("remove", sound)], weights)
    np.testing.assert_allclose(found, [0.5, -1.0])


def test_every_change_has_a_weight_and_points_the_right_way() -> None:
    weights = CompositionWeights()
    away = {"remove", "quieter", "less", "instead_of"}
    for change in CHANGES:
        assert (getattr(weights, change) < 0) == (change in away)


def test_a_bundle_without_understanding_treats_a_text_as_before(towers_bundle_path: Path) -> None:
    part = read_modifier(Modifier("without high qwerty"), opened(towers_bundle_path))
    expected = tiny_towers.encode_text(towers_bundle_path, "without high qwerty")
    np.testing.assert_allclose(vector(part), expected, atol=1e-6)
    assert (part.understood, part.notices) == ([], [])


def test_a_text_that_names_no_sound_gets_a_notice_with_the_nearest_phrases(towers: Towers) -> None:
    part = read_modifier(Modifier("qwerty asdf"), towers)
    assert codes(part) == ["modifier_unknown"]
    detail = part.notices[0].detail
    assert '"qwerty asdf"' in detail
    assert "not comparable" in detail
    encoded = towers.text.encode("qwerty asdf")
    assert encoded is not None
    assert encoded.novelty is not None
    assert all(f'"{phrase}"' in detail for phrase in encoded.novelty.nearest)


def test_known_sounds_get_no_notice_whatever_stands_beside_them(towers: Towers) -> None:
    assert codes(read_modifier(Modifier("qwerty without high"), towers)) == []


def test_a_long_unknown_text_is_shortened_in_its_notice(towers: Towers) -> None:
    part = read_modifier(Modifier("x" * 500), towers)
    assert codes(part) == ["modifier_unknown"]
    assert len(part.notices[0].detail) < 400


def test_a_text_of_strength_zero_says_nothing(towers: Towers) -> None:
    assert read_modifier(Modifier("qwerty", 0.0), towers) == TextPart()
