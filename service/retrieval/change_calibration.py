"""Scores of changes, their thresholds, and decisions by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int64

from service.retrieval.change_features import exchange

What = Literal["nothing", "added", "removed", "both"]
CHANGES: tuple[What, ...] = get_args(What)


@dataclass(frozen=True, slots=True)
class DirectionDecision:
    """Decision on one direction.

    Attributes:
        score: Higher for a larger change.
        threshold: The score above which something counts as added, or removed.
        false_alarm_rate: Share of unchanged pairs that scored at least as high, 0 to 1.
    """

    score: float
    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class ChangeDecision:
    """Decision whether something was added, removed, or both.

    Attributes:
        what: The decision.
        leaning: What changed if anything did: the direction of the larger margin.
        changed: Whether something changed.
        score: Of the direction whose score is the furthest above its threshold.
        threshold: Of this direction.
        false_alarm_rate: Share of unchanged pairs that were as far above one of their thresholds, 0
            to 1.
        added: What the mixture has and the references lack.
        removed: What the references have and the mixture lacks; None for a detector that was fitted
            to added sounds alone.
    """

    what: What
    leaning: What
    changed: bool
    score: float
    threshold: float
    false_alarm_rate: float
    added: DirectionDecision
    removed: DirectionDecision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Weights and quantiles of the scores, by direction and number of references.

    Attributes:
        counts: Numbers of references, ascending, the first 1; other numbers take the row of the
            next smaller one [counts].
        weights: Weights of the features, and a constant; the first direction is "added", the second
            "removed", if there is one [directions counts features+1].
        thresholds: Scores that unchanged pairs pass, in either direction, at the stated rate
            [directions counts].
        quantiles: Scores of unchanged pairs at evenly spaced shares from 0 to 1
            [directions counts shares].
        margins: Quantiles of the margin of these pairs, by which the larger of the two scores
            exceeds its threshold [counts shares].
        balances: A change is in both directions if their margins differ by less [counts].
    """

    counts: np.ndarray
    weights: Float[np.ndarray, "directions counts weights"]
    thresholds: Float[np.ndarray, "directions counts"]
    quantiles: Float[np.ndarray, "directions counts shares"]
    margins: Float[np.ndarray, "counts shares"]
    balances: Float[np.ndarray, " counts"]

    def row(self, n_references: int) -> int:
        """Return the row for a number of references, at least one."""
        return int(np.searchsorted(self.counts, n_references, side="right")) - 1

    def scores(
        self, features: Float[np.ndarray, "*pairs features"], n_references: int
    ) -> Float[np.ndarray, "directions *pairs"]:
        """Return the score of each direction."""
        row = self.row(n_references)
        sides = (features, exchange(features))
        found = [
            side @ weights[row, :-1] + weights[row, -1]
            for side, weights in zip(sides, self.weights, strict=False)
        ]
        return np.stack(found)

    def decide(
        self, scores: Float[np.ndarray, " directions"], n_references: int, *, is_equal: bool
    ) -> ChangeDecision:
        """Compare the scores of a pair with the thresholds; equal sounds did not change."""
        row = self.row(n_references)
        thresholds = self.thresholds[:, row]
        margins = scores - thresholds
        best = int(margins.argmax())
        rates = [
            1.0 if is_equal else _share_above(quantiles[row], float(score))
            for quantiles, score in zip(self.quantiles, scores, strict=True)
        ]
        sides = [
            DirectionDecision(float(score), float(threshold), rate)
            for score, threshold, rate in zip(scores, thresholds, rates, strict=True)
        ]
        rate = 1.0 if is_equal else _share_above(self.margins[row], float(margins[best]))
        number = 0 if is_equal else int(name_changes(margins, float(self.balances[row])))
        what = CHANGES[number]
        leaning = name_changes(margins - margins.max() + 1.0, float(self.balances[row]))
        return ChangeDecision(
            what=what,
            leaning=CHANGES[int(leaning)],
            changed=what != "nothing",
            score=sides[best].score,
            threshold=sides[best].threshold,
            false_alarm_rate=rate,
            added=sides[0],
            removed=sides[1] if len(sides) > 1 else None,
        )


def name_changes(
    margins: Float[np.ndarray, "directions *pairs"], balance: float
) -> Int64[np.ndarray, "*pairs"]:
    """Name changes by the scores less their thresholds, as numbers in `CHANGES`.

    Something changed if either margin is above 0. It was added or removed, whichever margin is
    larger; both, if they differ by less than the balance.

    Args:
        margins: One or two directions: added, removed.
        balance: Least difference of the margins of a change in one direction.
    """
    lead = margins[0] - margins[1] if len(margins) > 1 else np.full_like(margins[0], np.inf)
    numbers = np.where(np.abs(lead) < balance, 3, np.where(lead > 0, 1, 2))
    return np.where(margins.max(axis=0) > 0, numbers, 0)


def _share_above(quantiles: Float[np.ndarray, " shares"], score: float) -> float:
    shares = np.linspace(0.0, 1.0, len(quantiles))
    return 1.0 - float(np.interp(score, quantiles, shares))
