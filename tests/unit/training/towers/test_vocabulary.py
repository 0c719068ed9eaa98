from __future__ import annotations

import pytest
import tiny_pairs

from training.scenes.changes import Change
from training.scenes.load import SceneSet
from training.towers.vocabulary import Vocabulary, appearing


def test_the_vocabulary_is_that_of_the_scenes(scenes: SceneSet) -> None:
    vocabulary = Vocabulary.of(scenes)
    assert vocabulary.events == tuple(sorted(tiny_pairs.EVENTS))
    assert vocabulary.backgrounds == ("bells",)  # rain is a class of events already
    assert vocabulary.labels == vocabulary.events + vocabulary.backgrounds


def test_what_is_heard_is_marked_and_what_is_not_known_left_out(scenes: SceneSet) -> None:
    marks = Vocabulary(("dog", "rain"), ("bells",)).heard([["rain"], ["bells", "dog", "cat"], []])
    assert marks.tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0]]


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
def test_a_label_appears_where_it_is_the_only_one(
    changes: list[tuple[str, str]], expected: str | None
) -> None:
    made = [Change(kind, label) for kind, label in changes]  # type: ignore[arg-type]
    assert appearing(made) == expected
