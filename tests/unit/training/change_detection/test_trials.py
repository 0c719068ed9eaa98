from __future__ import annotations

from dataclasses import replace

import pytest

from service.retrieval.change_calibration import CHANGES
from training.change_detection.excerpts import CONDITIONS, EXCERPT_SAMPLES, Condition, Excerpt
from training.change_detection.trials import make_trials


def excerpts() -> list[Excerpt]:
    """Two recordings of four and two excerpts, each plain and louder, without and with an event."""
    return [
        Excerpt(recording=row, start=first, condition=condition, event=event)
        for row, n_excerpts in ((3, 4), (8, 2))
        for first in range(0, n_excerpts * EXCERPT_SAMPLES, EXCERPT_SAMPLES)
        for condition in ("plain", "+6 dB")
        for event in (None, 99)
    ]


def with_lasting() -> list[Excerpt]:
    """The same, and every plain excerpt with an event that lasts over the recording."""
    drawn = excerpts()
    lasting = [replace(each, event=50, is_lasting=True) for each in drawn if each.is_plain]
    return drawn + lasting


@pytest.mark.parametrize("n", [1, 2])
def test_what_the_references_contain_was_removed(n: int) -> None:
    drawn = with_lasting()
    trials = make_trials(drawn, n, conditions=CONDITIONS)

    assert {change: bool(trials.of(change).any()) for change in CHANGES} == dict.fromkeys(
        CHANGES, True
    )
    counts = [int(trials.of(change).sum()) for change in CHANGES]
    assert len(set(counts)) == 1
    assert sum(counts) == len(trials.mixtures)
    for i, (mixture, references) in enumerate(zip(trials.mixtures, trials.references, strict=True)):
        assert not drawn[mixture].is_lasting
        events = {drawn[reference].event for reference in references}
        assert events == ({50} if trials.is_removed[i] else {None})
        assert trials.is_added[i] == (drawn[mixture].event is not None)


def test_references_are_plain_excerpts_of_the_same_recording_elsewhere() -> None:
    drawn = excerpts()
    trials = make_trials(drawn, 1, conditions=CONDITIONS)

    assert len(trials.mixtures) == 4 * 4 * 3 + 2 * 4
    for mixture, (reference,) in zip(trials.mixtures, trials.references, strict=True):
        mixed, plain = drawn[mixture], drawn[reference]
        assert (plain.condition, plain.event) == ("plain", None)
        assert plain.recording == mixed.recording
        assert abs(plain.start - mixed.start) >= EXCERPT_SAMPLES


def test_of_several_references_none_comes_twice_and_short_recordings_have_no_trial() -> None:
    drawn = excerpts()
    trials = make_trials(drawn, 3, conditions=["plain"])

    assert set(trials.recordings) == {3}
    assert len(trials.mixtures) == 8
    assert all(len(set(row)) == 3 for row in trials.references.tolist())


def test_overlapping_excerpts_are_no_references() -> None:
    drawn = [
        Excerpt(recording=0, start=i * EXCERPT_SAMPLES // 2, condition="plain") for i in range(3)
    ]
    trials = make_trials(drawn, 1, conditions=["plain"])

    pairs = list(zip(trials.mixtures.tolist(), trials.references[:, 0].tolist(), strict=True))
    assert pairs == [(0, 2), (2, 0)]


@pytest.mark.parametrize("condition", ["plain", "+6 dB"])
def test_each_recording_has_the_same_weight_on_both_sides(condition: Condition) -> None:
    trials = make_trials(excerpts(), 1, conditions=[condition])

    for row in (3, 8):
        for added in (False, True):
            side = (trials.recordings == row) & (trials.is_added == added)
            assert trials.weights[side].sum() == pytest.approx(1)


def test_against_itself_the_reference_is_the_same_excerpt_unprocessed() -> None:
    drawn = excerpts()
    trials = make_trials(drawn, 1, conditions=["+6 dB"], against="itself")

    assert len(trials.mixtures) == 12
    for mixture, (reference,) in zip(trials.mixtures, trials.references, strict=True):
        assert drawn[reference].start == drawn[mixture].start
        assert drawn[reference].condition == "plain"
