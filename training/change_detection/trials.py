"""Trials: a take against one or more plain excerpts of its recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

from training.change_detection.takes import EXCERPT, Condition, Take

Against = Literal["others", "itself"]


@dataclass(frozen=True, slots=True)
class Trials:
    """Takes, each with its references, all rows of the list of takes.

    Attributes:
        mixtures: Takes that are judged [trials].
        references: Plain excerpts they are judged against [trials references].
        recordings: Rows of their recordings in the store [trials].
        is_added: Whether an event is in the mixture [trials].
        weights: So that each recording counts 1 [trials].
    """

    mixtures: Int64[np.ndarray, " trials"]
    references: Int64[np.ndarray, "trials references"]
    recordings: Int64[np.ndarray, " trials"]
    is_added: Bool[np.ndarray, " trials"]
    weights: Float[np.ndarray, " trials"]

    def select(self, chosen: Bool[np.ndarray, " trials"]) -> Trials:
        """Restrict to some of the trials."""
        return Trials(
            self.mixtures[chosen],
            self.references[chosen],
            self.recordings[chosen],
            self.is_added[chosen],
            self.weights[chosen],
        )


def make_trials(
    takes: Sequence[Take],
    n_references: int,
    *,
    conditions: Iterable[Condition],
    against: Against = "others",
    seed: int = 0,
) -> Trials:
    """Pair takes with references.

    Of one reference, every excerpt that does not overlap the take is one in its turn; of several,
    as many of these are drawn once. Against itself, a take has its own excerpt as it is for its
    one reference.

    Args:
        takes: All takes.
        n_references: References of each trial, at least 1.
        conditions: Of the takes that are judged.
        against: Other excerpts of the recording, or the take's own.
        seed: Draws among the references.
    """
    random = np.random.default_rng([seed, n_references])
    plain: dict[int, dict[int, int]] = defaultdict(dict)
    for number, take in enumerate(takes):
        if take.condition == "plain" and take.event is None:
            plain[take.row][take.first] = number
    mixtures, references, wanted = [], [], set(conditions)
    for number, take in enumerate(takes):
        if take.condition not in wanted:
            continue
        own = plain[take.row]
        if against == "itself":
            mixtures.append(number)
            references.append([own[take.first]])
            continue
        others = [row for first, row in own.items() if abs(first - take.first) >= EXCERPT]
        for chosen in _choose(others, n_references, random):
            mixtures.append(number)
            references.append(chosen)
    recordings = np.array([takes[number].row for number in mixtures], np.int64)
    is_added = np.array([takes[number].event is not None for number in mixtures], bool)
    counts = Counter(zip(recordings.tolist(), is_added.tolist(), strict=True))
    weights = [
        1.0 / counts[key] for key in zip(recordings.tolist(), is_added.tolist(), strict=True)
    ]
    return Trials(
        np.array(mixtures, np.int64),
        np.array(references, np.int64).reshape(len(mixtures), n_references),
        recordings,
        is_added,
        np.array(weights),
    )


def _choose(rows: list[int], n: int, random: np.random.Generator) -> list[list[int]]:
    if len(rows) < n:
        return []
    if n == 1:
        return [[row] for row in rows]
    return [random.choice(rows, n, replace=False).tolist()]
