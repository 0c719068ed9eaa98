"""Detection trials: an excerpt with one or more excerpts of its recording as references."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

from service.retrieval.change_calibration import CHANGES, What
from training.change_detection.excerpts import EXCERPT_SAMPLES, Condition, Excerpt

SEED = 0  # of the drawn references

Against = Literal["others", "itself"]
"""References of a trial: other excerpts of the recording, or the same excerpt unprocessed."""


@dataclass(frozen=True, slots=True)
class DetectionTrials:
    """Trials of a detector; excerpts are given by their numbers in the list of all excerpts.

    Attributes:
        mixtures: Excerpts to decide on [trials].
        references: Excerpts without processing that they are compared with [trials references].
        recordings: Rows of their recordings in the store [trials].
        is_added: Whether the mixture contains an event that the references lack [trials].
        is_removed: Whether the references contain an event that the mixture lacks [trials].
        weights: Weights that sum to 1 over the trials of a recording with the same change [trials].
    """

    mixtures: Int64[np.ndarray, " trials"]
    references: Int64[np.ndarray, "trials references"]
    recordings: Int64[np.ndarray, " trials"]
    is_added: Bool[np.ndarray, " trials"]
    is_removed: Bool[np.ndarray, " trials"]
    weights: Float[np.ndarray, " trials"]

    def of(self, change: What) -> Bool[np.ndarray, " trials"]:
        """Return which trials have a change."""
        number = CHANGES.index(change)
        is_added, is_removed = bool(number & 1), bool(number & 2)
        found: np.ndarray = (self.is_added == is_added) & (self.is_removed == is_removed)
        return found

    def select(self, chosen: Bool[np.ndarray, " trials"]) -> DetectionTrials:
        """Select some of the trials."""
        return DetectionTrials(
            self.mixtures[chosen],
            self.references[chosen],
            self.recordings[chosen],
            self.is_added[chosen],
            self.is_removed[chosen],
            self.weights[chosen],
        )

    def among(self, chosen: Bool[np.ndarray, " excerpts"]) -> DetectionTrials:
        """Select the trials whose excerpts are all among the chosen ones."""
        return self.select(chosen[self.mixtures] & chosen[self.references].all(axis=1))


def make_trials(
    excerpts: Sequence[Excerpt],
    n_references: int,
    *,
    conditions: Iterable[Condition],
    against: Against = "others",
) -> DetectionTrials:
    """Pair excerpts with references.

    With one reference, there is a trial for every excerpt of the recording that does not overlap
    the mixture. With several, they are drawn once for each mixture. Every mixture is compared with
    references without an event and, among others of the recording, with such that have one.

    Args:
        excerpts: All excerpts.
        n_references: References of each trial, at least 1.
        conditions: Conditions of the mixtures.
        against: Kind of references; ``itself`` has one for each trial.
    """
    random = np.random.default_rng([SEED, n_references])
    plain, lasting = _by_place(excerpts)
    mixtures: list[int] = []
    references: list[list[int]] = []
    is_removed: list[bool] = []
    wanted = set(conditions)
    for number, excerpt in enumerate(excerpts):
        if excerpt.condition not in wanted or excerpt.is_lasting:
            continue
        for places in (plain, lasting) if against == "others" else (plain,):
            of_recording = places[excerpt.recording]
            if against == "itself":
                chosen = [[of_recording[excerpt.start]]]
            else:
                chosen = _choose(_apart(of_recording, excerpt), n_references, random)
            mixtures += [number] * len(chosen)
            references += chosen
            is_removed += [places is lasting] * len(chosen)
    recordings = [excerpts[number].recording for number in mixtures]
    is_added = [excerpts[number].event is not None for number in mixtures]
    sides = list(zip(recordings, is_added, is_removed, strict=True))
    counts = Counter(sides)
    return DetectionTrials(
        np.array(mixtures, np.int64),
        np.array(references, np.int64).reshape(len(mixtures), n_references),
        np.array(recordings, np.int64),
        np.array(is_added, bool),
        np.array(is_removed, bool),
        np.array([1.0 / counts[side] for side in sides]),
    )


Places = Mapping[int, Mapping[int, int]]
"""Numbers of excerpts, by recording and start."""


def _by_place(excerpts: Sequence[Excerpt]) -> tuple[Places, Places]:
    """Return the plain excerpts, and those with the lasting event."""
    plain: dict[int, dict[int, int]] = defaultdict(dict)
    lasting: dict[int, dict[int, int]] = defaultdict(dict)
    for number, excerpt in enumerate(excerpts):
        if excerpt.is_plain:
            plain[excerpt.recording][excerpt.start] = number
        elif excerpt.is_lasting:
            lasting[excerpt.recording][excerpt.start] = number
    return plain, lasting


def _apart(of_recording: Mapping[int, int], excerpt: Excerpt) -> list[int]:
    """Return the excerpts of a recording that do not overlap an excerpt."""
    return [
        other
        for start, other in of_recording.items()
        if abs(start - excerpt.start) >= EXCERPT_SAMPLES
    ]


def _choose(others: list[int], n: int, random: np.random.Generator) -> list[list[int]]:
    if len(others) < n:
        return []
    if n == 1:
        return [[other] for other in others]
    return [random.choice(others, n, replace=False).tolist()]
