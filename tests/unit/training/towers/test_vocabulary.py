from __future__ import annotations

import pytest
import tiny_pairs

from training.scenes.changes import Change
from training.scenes.load import SceneSet
from training.towers.vocabulary import Vocabulary, added_label


def test_the_vocabulary_lists_the_labels_of_the_scenes(scenes: SceneSet) -> None:
    vocabulary = Vocabulary.of(scenes)
    assert vocabulary.events == tuple(sorted(tiny_pairs.EVENTS))
    assert vocabulary.backgrounds == ("bells",)  # rain is also a class of events
    assert vocabulary.labels == vocabulary.events + vocabulary.backgrounds


def test_labels_are_encoded_and_unknown_ones_left_out() -> None:
    vocabulary = Vocabulary(("dog", "rain"), ("bells",))
    encoded = vocabulary.encode([["rain"], ["bells", "dog", "cat"], []])
    assert encoded.tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("add", "dog")], "dog"),
        ([("more", "rain")], "rain"),
        ([("remove", "dog")], None),
        ([("louder", "dog")], None),
        ([("add", "dog"), ("remove", "crow")], "dog"),
        ([("add", "dog"), ("more", "rain")], None),
    ],
)
def test_a_label_is_added_where_it_is_the_only_one(
    changes: list[tuple[str, str]], expected: str | None
) -> None:
    listed = [Change(kind, label) for kind, label in changes]  # type: ignore[arg-type]
    assert added_label(listed) == expected
