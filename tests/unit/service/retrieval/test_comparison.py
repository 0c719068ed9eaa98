from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_change

from service.bundle.files import load_bundle
from service.clips import Windows
from service.inference.embedding_space import CentredSpace
from service.inference.phrases import TextBank
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.comparison import Comparer, Comparison
from service.retrieval.inputs import EmbeddedInput

DIM = 8
MEAN = np.full(DIM, 0.5, np.float32)
LABELS = ("first", "second", "third")


@pytest.fixture
def comparer(tiny_bundle_path: Path) -> Comparer:
    bank = TextBank(
        [(f"a {name} sound", name, None) for name in LABELS], np.eye(3, DIM, dtype=np.float32)
    )
    return Comparer(MEAN, CentredSpace("f" * 64, MEAN), bank=bank, detector=None)


def embeddings(n: int, seed: int = 0) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(seed).uniform(0, 2, (n, DIM)).astype(np.float32)
    return drawn


def windows(rows: np.ndarray) -> Windows:
    starts_s = 0.5 * np.arange(len(rows))
    return Windows(rows.mean(axis=0), rows, starts_s, starts_s + 1.0)


def compare(
    comparer: Comparer, mixture: np.ndarray, *references: np.ndarray, n_phrases: int = 0
) -> Comparison:
    """Compare embeddings without levels and windows."""
    others = [EmbeddedInput(each) for each in references]
    return comparer.compare(EmbeddedInput(mixture), others, weight=1.0, n_phrases=n_phrases)


def test_the_mean_of_the_references_is_subtracted(comparer: Comparer) -> None:
    mixture, *references = embeddings(4)

    found = compare(comparer, mixture, *references)

    expected = mixture - np.mean(references, axis=0)
    np.testing.assert_allclose(found.embedding, expected, atol=1e-6)
    assert found.spread is not None
    assert found.spread > 0
    assert (found.level_difference_db, found.changed, found.curve) == (None, None, None)


def test_copies_of_a_reference_equal_one_of_it(comparer: Comparer) -> None:
    mixture, reference = embeddings(2)

    once = compare(comparer, mixture, reference, n_phrases=3)
    thrice = compare(comparer, mixture, *[reference] * 3, n_phrases=3)

    assert np.array_equal(once.embedding, thrice.embedding)
    assert once.phrases == thrice.phrases
    assert (once.spread, thrice.spread) == (None, 0.0)


@pytest.mark.parametrize("n_references", [1, 3])
def test_equal_sounds_do_not_differ(comparer: Comparer, n_references: int) -> None:
    (sound,) = embeddings(1)
    both = EmbeddedInput(sound, 0.25, windows(embeddings(3)))

    found = comparer.compare(both, [both] * n_references, weight=0.5, n_phrases=3)

    assert not found.embedding.any()
    assert (found.relative_norm, found.cosine, found.phrases) == (0.0, 1.0, [])
    assert found.level_difference_db == 0
    assert found.curve is not None
    assert [point.relative_norm for point in found.curve] == [0.0] * 3


def test_the_level_difference_needs_all_levels(comparer: Comparer) -> None:
    mixture, reference = embeddings(2)
    with_level = EmbeddedInput(mixture, 0.4)

    def level(*references: EmbeddedInput) -> float | None:
        found = comparer.compare(with_level, references, weight=0.5, n_phrases=0)
        return found.level_difference_db

    assert level(EmbeddedInput(reference, 0.04)) == pytest.approx(10)
    assert level(EmbeddedInput(reference, 0.04), EmbeddedInput(reference)) is None


def test_peaks_of_the_curve_have_phrases_for_what_was_added_there(comparer: Comparer) -> None:
    quiet = np.full((6, DIM), 1.0, np.float32)
    mixed = quiet.copy()
    mixed[2, 1] += 5
    mixed[4, 0] += 9
    reference = EmbeddedInput(quiet[0], windows=windows(quiet))
    mixture = EmbeddedInput(mixed.mean(axis=0), windows=windows(mixed))

    found = comparer.compare(mixture, [reference], weight=1.0, n_phrases=1)

    assert found.curve is not None
    labels = [[phrase.label for phrase in point.phrases] for point in found.curve]
    assert labels == [[], [], ["second"], [], ["first"], []]
    assert [point.start_s for point in found.curve] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert [point.end_s for point in found.curve] == [1, 1.5, 2, 2.5, 3, 3.5]


def test_a_bundle_with_a_detector_decides_whether_something_was_added(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(tiny_change.copy_with_detector(tiny_bundle_path, tmp_path / "b"))
    detector = ChangeDetector.open(bundle)
    space = CentredSpace(bundle.manifest.encoder.fingerprint, bundle.mean)
    comparer = Comparer(bundle.mean, space, bank=None, detector=detector)
    mixture, reference = embeddings(2)

    found = compare(comparer, mixture, reference)

    assert detector is not None
    assert found.changed == detector.decide(mixture, [reference])


@pytest.mark.parametrize("has_windows", [True, False])
def test_what_was_removed_is_what_would_have_been_added_to_the_other(
    comparer: Comparer, has_windows: bool
) -> None:
    quiet = np.full((12, DIM), 1.0, np.float32)
    mixed = quiet.copy()
    mixed[5:8, 1] += 5
    first, second = (
        EmbeddedInput(rows.mean(axis=0), power, windows(rows) if has_windows else None)
        for rows, power in ((mixed, 0.3), (quiet, 0.1))
    )

    there = comparer.compare(first, [second], weight=1.0, n_phrases=2)
    back = comparer.compare(second, [first], weight=1.0, n_phrases=2)

    assert there.added == back.removed
    assert there.removed == back.added
    assert there.added.phrases[0].label == "second"
    assert there.phrases == there.added.phrases
    assert there.added.level_db is not None
    assert there.removed.level_db is None
    assert (there.added.start_s is not None) == has_windows
    if has_windows:
        # A window of 1 s begins every half second; the sound fills the sixth to the eighth.
        assert there.added.start_s == pytest.approx(3.0, abs=0.6)
        assert there.added.level_db > 10 * np.log10(2)


def test_of_several_references_words_and_level_of_what_is_gone_are_told(
    comparer: Comparer,
) -> None:
    mixture, *references = embeddings(3)
    references = [each + np.eye(DIM, dtype=np.float32)[2] * 5 for each in references]

    found = comparer.compare(
        EmbeddedInput(mixture, 0.1),
        [EmbeddedInput(each, power) for each, power in zip(references, (0.2, 0.4), strict=True)],
        weight=1.0,
        n_phrases=1,
    )

    assert [phrase.label for phrase in found.removed.phrases] == ["third"]
    assert found.removed.level_db == pytest.approx(10 * np.log10(2))
    assert found.removed.start_s is None


def test_words_are_in_the_description_even_if_none_are_asked_for(comparer: Comparer) -> None:
    mixture, reference = embeddings(2)

    found = compare(comparer, mixture, reference, n_phrases=0)

    assert found.phrases == found.added.phrases == found.removed.phrases == []
    assert "“a " in found.description
