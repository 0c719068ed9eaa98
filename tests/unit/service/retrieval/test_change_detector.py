from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tiny_bundle
import tiny_change
from hypothesis import given

from service.bundle.files import Bundle, load_bundle
from service.errors import BundleError
from service.retrieval.change_detector import ChangeDetector

DIM = 8


@pytest.fixture(scope="module")
def detector() -> ChangeDetector:
    return tiny_change.detector(DIM)


@pytest.fixture
def bundle(tiny_bundle_path: Path, tmp_path: Path) -> Bundle:
    return load_bundle(tiny_change.copy_with_detector(tiny_bundle_path, tmp_path / "bundle"))


def sounds(n: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).uniform(0, 3, (n, DIM)).astype(np.float32))


def naive_score(
    detector: ChangeDetector, mixture: np.ndarray, references: list[np.ndarray]
) -> float:
    """Score one pair from its definition, in float64 and without any of the arrays' axes."""
    part, calibration = detector.discriminant, detector.calibration
    along = [(each.astype(np.float64) - part.origin) @ part.axes for each in references]
    difference = (mixture.astype(np.float64) - part.origin) @ part.axes - np.mean(along, axis=0)
    plain = difference @ part.unchanged @ difference
    added = (difference - part.shift) @ part.added @ (difference - part.shift)
    found = [np.log(plain) - np.log(added), np.log(plain), 0.0]
    if len(along) > 1:
        left_out = [
            one - np.mean(along[:i] + along[i + 1 :], axis=0) for i, one in enumerate(along)
        ]
        found[2] = np.log(np.mean([one @ part.unchanged @ one for one in left_out]))
    row = max(i for i, count in enumerate(calibration.counts) if count <= len(references))
    return float(np.append(found, 1.0) @ calibration.weights[row])


@given(n=st.integers(1, 6), seed=st.integers(0, 20))
def test_the_score_equals_its_definition(n: int, seed: int) -> None:
    detector = tiny_change.detector(DIM)
    mixture, *references = sounds(n + 1, seed)

    expected = naive_score(detector, mixture, references)

    assert detector.score(mixture, references) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n", "row"), [(1, 0), (2, 0), (3, 1), (9, 1)])
def test_an_uncalibrated_number_of_references_uses_the_next_smaller_one(
    detector: ChangeDetector, n: int, row: int
) -> None:
    mixture, *references = sounds(n + 1)

    assert detector.decide(mixture, references).threshold == detector.calibration.thresholds[row]


@pytest.mark.parametrize("distance", [0.01, 0.5, 2.0, 30.0])
def test_the_false_alarm_rate_is_the_share_of_unchanged_pairs_with_as_high_a_score(
    detector: ChangeDetector, distance: float
) -> None:
    reference = np.ones(DIM, np.float32)

    decision = detector.decide(reference + np.float32(distance), [reference])

    higher = (detector.calibration.quantiles[0] >= decision.score).mean()
    assert decision.false_alarm_rate == pytest.approx(float(higher), abs=0.02)
    assert decision.changed == (decision.score > decision.threshold)


def test_equal_embeddings_did_not_change(detector: ChangeDetector) -> None:
    (sound,) = sounds(1)
    for references in ([sound], [sound] * 4):
        decision = detector.decide(sound, references)

        assert not decision.changed
        assert decision.false_alarm_rate == 1
        assert np.isfinite(decision.score)


def test_a_written_detector_is_read_back(detector: ChangeDetector, bundle: Bundle) -> None:
    read = ChangeDetector.open(bundle)

    assert read is not None
    for field in fields(detector.discriminant):
        there, back = (getattr(each.discriminant, field.name) for each in (detector, read))
        np.testing.assert_array_equal(there, back)
    read.check(bundle)


def test_a_bundle_without_a_detector_has_none(tiny_bundle_path: Path) -> None:
    assert ChangeDetector.open(load_bundle(tiny_bundle_path)) is None


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("axes", np.zeros((DIM + 1, 3), np.float32), r"axes is \[9, 3\], must be \[8, 3\]"),
        ("weights", np.zeros((2, 2)), r"weights is \[2, 2\]"),
        ("counts", np.array([2, 3]), "counts must ascend from 1"),
        ("quantiles", np.zeros((2, 101)) - np.arange(101), "quantiles must ascend"),
        ("shift", np.full(3, np.nan), "shift is not finite"),
    ],
)
def test_a_file_with_another_array_is_refused_by_name(
    bundle: Bundle, name: str, array: np.ndarray, message: str
) -> None:
    changed = tiny_bundle.change_array(bundle.path, tiny_change.FILE, name, lambda _: array)

    with pytest.raises(BundleError, match=message):
        ChangeDetector.open(changed)


def test_a_file_that_is_not_npz_is_refused(bundle: Bundle) -> None:
    bundle.file(tiny_change.FILE).write_bytes(b"words")

    with pytest.raises(BundleError, match="holds no detector"):
        ChangeDetector.open(bundle)


def test_another_score_of_the_known_answer_is_refused(bundle: Bundle) -> None:
    changed = tiny_bundle.change_array(bundle.path, tiny_change.FILE, "known_score", lambda _: 99.0)
    detector = ChangeDetector.open(changed)

    assert detector is not None
    with pytest.raises(BundleError, match="not 99 as stored"):
        detector.check(bundle)
