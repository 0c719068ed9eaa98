from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tiny_bundle
import tiny_change
from hypothesis import given

from service.bundle.files import Bundle, load_bundle
from service.clips import Windows
from service.errors import BundleError
from service.retrieval import change_file
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


def windows(n: int, seed: int, length_s: float = 1.0) -> Windows:
    rows = np.random.default_rng(seed).uniform(0, 3, (n, DIM)).astype(np.float32)
    starts_s = 0.5 * np.arange(n)
    return Windows(rows.mean(axis=0), rows, starts_s, starts_s + length_s)


def naive_score(
    detector: ChangeDetector, mixture: np.ndarray, references: list[np.ndarray]
) -> float:
    """Score one pair from its definition, in float64 and without any of the arrays' axes."""
    part, calibration = detector.parts.discriminant, detector.parts.clips
    along = [(each.astype(np.float64) - part.origin) @ part.axes for each in references]
    difference = (mixture.astype(np.float64) - part.origin) @ part.axes - np.mean(along, axis=0)
    plain = difference @ part.unchanged @ difference
    added = (difference - part.shift) @ part.added @ (difference - part.shift)
    removed = (difference + part.shift) @ part.added @ (difference + part.shift)
    found = [np.log(plain) - np.log(added), np.log(plain), np.log(plain) - np.log(removed), 0.0]
    if len(along) > 1:
        left_out = [
            one - np.mean(along[:i] + along[i + 1 :], axis=0) for i, one in enumerate(along)
        ]
        found[3] = np.log(np.mean([one @ part.unchanged @ one for one in left_out]))
    row = max(i for i, count in enumerate(calibration.counts) if count <= len(references))
    return float(np.append(found, 1.0) @ calibration.weights[0, row])


@given(n=st.integers(1, 6), seed=st.integers(0, 20))
def test_the_score_equals_its_definition(n: int, seed: int) -> None:
    detector = tiny_change.detector(DIM)
    mixture, *references = sounds(n + 1, seed)

    expected = naive_score(detector, mixture, references)

    assert detector.score(mixture, references) == pytest.approx(expected, abs=1e-5)
    assert detector.decide(mixture, references).added.score == pytest.approx(expected, abs=1e-5)


@given(seed=st.integers(0, 20), n_windows=st.sampled_from([0, 5]))
def test_a_removed_sound_scores_as_it_would_score_as_an_addition_to_the_other_side(
    seed: int, n_windows: int
) -> None:
    detector = tiny_change.detector(DIM)
    mixture, reference = sounds(2, seed)
    both = [windows(n_windows, seed), windows(n_windows + 1, seed + 99)] if n_windows else []

    there = detector.decide(mixture, [reference], both)
    back = detector.decide(reference, [mixture], both[::-1])

    assert there.removed is not None
    assert back.removed is not None
    assert there.removed.score == pytest.approx(back.added.score, abs=1e-4)
    assert there.added.score == pytest.approx(back.removed.score, abs=1e-4)


@pytest.mark.parametrize(("n", "row"), [(1, 0), (2, 0), (3, 1), (9, 1)])
def test_an_uncalibrated_number_of_references_uses_the_next_smaller_one(
    detector: ChangeDetector, n: int, row: int
) -> None:
    mixture, *references = sounds(n + 1)

    decision = detector.decide(mixture, references)

    assert decision.added.threshold == detector.parts.clips.thresholds[0, row]


@pytest.mark.parametrize("distance", [0.01, 0.5, 2.0, 30.0])
def test_the_false_alarm_rate_is_the_share_of_unchanged_pairs_as_far_above_a_threshold(
    detector: ChangeDetector, distance: float
) -> None:
    reference = np.ones(DIM, np.float32)

    decision = detector.decide(reference + np.float32(distance), [reference])

    calibration, removed = detector.parts.clips, decision.removed
    assert removed is not None
    margin = max(each.score - each.threshold for each in (decision.added, removed))
    higher = (calibration.margins[0] >= margin).mean()
    assert decision.false_alarm_rate == pytest.approx(float(higher), abs=0.02)
    assert decision.score - decision.threshold == pytest.approx(margin)
    higher = (calibration.quantiles[0, 0] >= decision.added.score).mean()
    assert decision.added.false_alarm_rate == pytest.approx(float(higher), abs=0.02)


@pytest.mark.parametrize(
    ("scores", "what"),
    [
        ((0.0, 0.0), "nothing"),
        ((9.0, 0.0), "added"),
        ((0.0, 9.0), "removed"),
        ((9.0, 9.0), "both"),
        ((9.0, 8.5), "both"),
        ((9.0, 7.0), "added"),
        ((3.7, 3.5), "both"),
    ],
)
def test_the_direction_that_is_further_above_its_threshold_is_named(
    detector: ChangeDetector, scores: tuple[float, float], what: str
) -> None:
    decision = detector.parts.clips.decide(np.array(scores), 1, is_equal=False)

    assert decision.what == what
    assert decision.leaning == ("both" if what == "nothing" else what)
    assert decision.changed == (what != "nothing")
    assert decision.changed == (decision.score > decision.threshold)


def test_equal_embeddings_did_not_change(detector: ChangeDetector) -> None:
    (sound,) = sounds(1)
    for references in ([sound], [sound] * 4):
        decision = detector.decide(sound, references)

        assert decision.what == "nothing"
        assert decision.false_alarm_rate == 1
        assert np.isfinite(decision.score)


@pytest.mark.parametrize(
    ("others", "is_used"),
    [
        (windows(6, 1), True),
        (windows(12, 1), False),
        (windows(6, 1, length_s=2.0), False),
        (windows(2, 1), False),
        (None, False),
    ],
)
def test_windows_are_used_if_they_are_like_those_of_the_calibration(
    detector: ChangeDetector, others: Windows | None, is_used: bool
) -> None:
    mixture, reference = sounds(2)

    with_windows = detector.decide(mixture, [reference], [windows(5, 0), others])

    assert (with_windows != detector.decide(mixture, [reference])) == is_used


def test_a_file_of_the_first_version_decides_as_it_did(bundle: Bundle) -> None:
    old = bundle.path / "old.npz"
    tiny_change.write_old(old, DIM)
    found = ChangeDetector(change_file.read(old, DIM))
    mixture, reference = sounds(2)
    difference = (mixture - reference)[:3].astype(np.float64)

    decision = found.decide(mixture, [reference], [windows(5, 0), windows(5, 1)])

    plain, added = difference @ difference, np.square(difference - 1).sum() / 4
    assert decision.score == pytest.approx(2 * np.log(plain) - np.log(added) - 1, abs=1e-5)
    assert decision.threshold == 3.6
    assert decision.removed is None
    assert decision.what == ("added" if decision.score > 3.6 else "nothing")
    share = np.interp(decision.score, np.linspace(-4, 4, 101), np.linspace(0, 1, 101))
    assert decision.false_alarm_rate == pytest.approx(1 - share)


@pytest.mark.parametrize("has_windows", [True, False])
def test_a_written_detector_is_read_back(tmp_path: Path, has_windows: bool) -> None:
    detector = tiny_change.detector(DIM, windows=has_windows)
    detector.write(tmp_path / "change.npz")

    read = ChangeDetector(change_file.read(tmp_path / "change.npz", DIM))

    mixture, *references = sounds(4)
    both = [windows(5, seed) for seed in range(4)]
    assert read.decide(mixture, references, both) == detector.decide(mixture, references, both)
    assert read.decide(mixture, references) == detector.decide(mixture, references)
    assert (read.parts.windows is not None) == has_windows


def test_the_detector_of_a_bundle_is_opened_and_checked(bundle: Bundle) -> None:
    read = ChangeDetector.open(bundle)

    assert read is not None
    read.check(bundle)


def test_a_bundle_without_a_detector_has_none(tiny_bundle_path: Path) -> None:
    assert ChangeDetector.open(load_bundle(tiny_bundle_path)) is None


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("axes", np.zeros((DIM + 1, 3), np.float32), r"axes is \[9, 3\], must be \[8, 3\]"),
        ("weights", np.zeros((2, 2, 2)), r"weights is \[2, 2, 2\]"),
        ("windows_weights", np.zeros((2, 2, 5)), r"windows_weights is \[2, 2, 5\]"),
        ("scale", np.zeros(3, np.float32), r"scale is \[3\], must be \[8\]"),
        ("balances", np.zeros(3), r"balances is \[3\], must be \[2\]"),
        ("counts", np.array([2, 3]), "counts must ascend from 1"),
        ("quantiles", np.zeros((2, 2, 101)) - np.arange(101), "quantiles must ascend"),
        ("margins", np.zeros((2, 101)) - np.arange(101), "margins must ascend"),
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


def naive_rises(windows: Windows, others: list[Windows], scale: float) -> list[float]:
    """Compute how far windows rise above others, value by value."""
    rows = windows.embeddings.astype(np.float64) / scale
    known = [other.embeddings.astype(np.float64) / scale for other in others]
    peaks = np.max(np.concatenate(known), axis=0)
    means = np.mean([each.mean(axis=0) for each in known], axis=0)
    sums = [sum(max(v - p, 0) for v, p in zip(row, peaks, strict=True)) for row in rows]
    squares = [sum(max(v - p, 0) ** 2 for v, p in zip(row, peaks, strict=True)) for row in rows]
    highest = np.maximum(rows.max(axis=0) - peaks, 0)
    above = np.maximum(rows.mean(axis=0) - means, 0)
    values = [max(sums), np.mean(sums), max(squares), np.mean(squares)]
    values += [highest.sum(), (highest**2).sum(), above.sum()]
    return [float(np.log(1 + value)) for value in values]


@pytest.mark.parametrize("n", [1, 3])
def test_the_features_of_windows_equal_their_definition(detector: ChangeDetector, n: int) -> None:
    mixture, *references = [windows(4 + seed, seed) for seed in range(n + 1)]

    found = detector.parts.discriminant.window_features(
        mixture.embeddings, [reference.embeddings for reference in references]
    )

    forward = naive_rises(mixture, references, 0.5)
    backward = np.mean([naive_rises(each, [mixture], 0.5) for each in references], axis=0)
    np.testing.assert_allclose(found, [*forward, *backward], rtol=1e-4, atol=1e-5)
