from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from training.towers.captions.concepts import Concepts
from training.towers.captions.targets import LABEL_SHARE, find_candidates, find_targets
from training.towers.captions.windows import CaptionSet, Window

CLASSES = ["Dog", "Bark", "Rain", "Animal"]


def window(corpus: str, label: str) -> Window:
    return Window(path=label, corpus=corpus, label=label, recording=label, start=0, stop=16_000)


def captions(windows: list[Window], scores: Sequence[Sequence[float]]) -> CaptionSet:
    return CaptionSet(
        windows=windows,
        embeddings=np.zeros((len(windows), 4), np.float16),
        scores=np.array(scores, np.float16),
        classes=CLASSES,
    )


@pytest.fixture
def concepts() -> Concepts:
    return Concepts.of(CLASSES, ["door slam", "slamming a door"])


@pytest.fixture
def names(concepts: Concepts) -> np.ndarray:
    """Orthogonal texts, but for the two captions, which are alike."""
    vectors = np.eye(len(concepts.concepts), dtype=np.float32)
    vectors[-1] = vectors[-1] * 0.6 + vectors[-2] * 0.8
    return vectors


def test_a_label_stands_for_itself_and_for_the_classes_of_the_same_sound(
    concepts: Concepts, names: np.ndarray
) -> None:
    targets = find_targets(captions([window("esc50", "dog")], [[0, 0, 0, 0]]), concepts, names)
    columns = concepts.columns()
    same = [columns["label", "dog"], columns["class", "Dog"], columns["class", "Bark"]]
    assert np.flatnonzero(targets.weights[0]).tolist() == sorted(same)
    assert targets.weights[0].sum() == pytest.approx(1.0)


def test_the_teacher_is_heard_where_there_is_no_label(
    concepts: Concepts, names: np.ndarray
) -> None:
    scores = [[0.5, 0.0, 0.03, 0.0]]
    targets = find_targets(captions([window("sfx_pool", "hit")], scores), concepts, names)
    columns = concepts.columns()
    heard = {columns["class", "Dog"], columns["label", "dog"]}
    assert set(np.flatnonzero(targets.weights[0])) == heard
    assert targets.is_unsure[0, columns["class", "Rain"]]  # 0.03: may be in it
    assert not targets.is_unsure[0, columns["class", "Animal"]]


def test_label_and_teacher_share_the_weight(concepts: Concepts, names: np.ndarray) -> None:
    scores = [[0.0, 0.0, 0.9, 0.0]]
    found = captions([window("berklee_foley", "door slam")], scores)
    targets = find_targets(found, concepts, names)
    columns = concepts.columns()
    own = targets.weights[0, columns["caption", "door slam"]]
    rain = sum(targets.weights[0, columns[key]] for key in (("class", "Rain"), ("label", "rain")))
    assert own == pytest.approx(LABEL_SHARE)
    assert rain == pytest.approx(1 - LABEL_SHARE)


def test_captions_that_read_alike_are_no_negatives_of_each_other(
    concepts: Concepts, names: np.ndarray
) -> None:
    found = captions([window("berklee_foley", "door slam")], [[0, 0, 0, 0]])
    targets = find_targets(found, concepts, names)
    columns = concepts.columns()
    assert targets.is_unsure[0, columns["caption", "slamming a door"]]
    assert not targets.is_unsure[0, columns["caption", "door slam"]]  # it is the target


def test_a_window_of_which_nothing_is_known_has_no_target(
    concepts: Concepts, names: np.ndarray
) -> None:
    targets = find_targets(captions([window("sfx_pool", "hit")], [[0] * 4]), concepts, names)
    assert not targets.weights.any()


def test_a_sound_is_told_from_every_text_that_names_another_one(
    concepts: Concepts, names: np.ndarray
) -> None:
    labels = ["dog", "rain", "frog"]
    is_candidate = find_candidates(concepts, names, labels)
    columns = {key: len(labels) + i for key, i in concepts.columns().items()}
    assert is_candidate.shape == (3, 3 + len(concepts.concepts))
    assert is_candidate[:, :3].all()  # each of the others, and itself
    dog = is_candidate[0]
    for same in (("label", "dog"), ("class", "Dog"), ("class", "Bark"), ("class", "Animal")):
        assert not dog[columns[same]]
    for other in (("label", "rain"), ("class", "Rain"), ("caption", "door slam")):
        assert dog[columns[other]]
