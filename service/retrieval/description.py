"""Description of a change in words, made from measured parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.inference.phrases import RankedPhrase
from service.retrieval.change_calibration import ChangeDecision, What

SURE_LEAD = 0.1
"""Lead of the first phrase over the second from which it alone is named; `minuend-train evaluate
describe` measures the accuracy above and below several leads."""
NAMED = 3
"""Phrases of each side from which a description takes up to two."""
LARGEST_TOLD_RATE = 0.8
"""Largest share of unchanged recordings that differ as much as a change told as a possibility."""
EQUAL_DB = 1.5
"""A sound is as loud as the rest if the levels differ by at most this [dB]."""


@dataclass(frozen=True, slots=True)
class ChangeSide:
    """A sound that one side has and the other lacks.

    Attributes:
        phrases: Phrases for it, best first; none without towers, or if the sides are equal.
        start_s: Where it starts in the sound that has it [s]; None if windows do not tell.
        end_s: Where it ends [s].
        level_db: Its level over that of the rest, while it lasts [dB]; None if it is not known.
    """

    phrases: list[RankedPhrase]
    start_s: float | None = None
    end_s: float | None = None
    level_db: float | None = None


def level_over_rest_db(louder: float, rest: float, share: float) -> float | None:
    """Return the level of a sound over the rest of what is heard, while it lasts [dB].

    The power that was added to the rest is taken to be that of the sound.

    Args:
        louder: Mean square of the side that has the sound.
        rest: Mean square of the side that lacks it.
        share: Share of the time that the sound lasts, above 0 to 1.

    Returns:
        None if the side that has the sound is not louder, or the rest is silent.
    """
    if rest <= 0 or louder <= rest:
        return None
    return 10.0 * math.log10((louder - rest) / (rest * share))


def describe(
    added: ChangeSide, removed: ChangeSide, decision: ChangeDecision | None, *, is_equal: bool
) -> str:
    """Describe what changed in one or two sentences.

    Args:
        added: What the mixture has and the references lack.
        removed: What the references have and the mixture lacks.
        decision: Of the change detector; None for a bundle without.
        is_equal: Whether the two sides are equal.
    """
    if is_equal:
        return "Nothing changed: the two are equal."
    if decision is None:
        return _undecided(added, removed)
    what, rate = told(decision), _percent(decision.false_alarm_rate)
    change = _changes(added, removed, what)
    if decision.what == "nothing":
        text = (
            "Nothing was clearly added or removed:"
            f" {rate} of unchanged recordings differ as much by themselves."
        )
        return f"{text} If anything, {change}." if change else text
    share = decision.false_alarm_rate
    word = "Almost certain" if share < 0.005 else "Likely" if share < 0.03 else "Probable"
    return (
        f"{change[0].upper()}{change[1:]}."
        f" {word}: {rate} of unchanged recordings differ as much by themselves."
    )


def told(decision: ChangeDecision) -> What:
    """Return the change that a description tells, be it as a mere possibility."""
    if decision.what == "nothing" and decision.false_alarm_rate <= LARGEST_TOLD_RATE:
        return decision.leaning
    return decision.what


def _changes(added: ChangeSide, removed: ChangeSide, what: What) -> str:
    """Return what changed as a part of a sentence; empty for nothing."""
    parts = []
    if what in {"added", "both"}:
        parts.append(f"{_name(added.phrases)} was added{_when(added, '')}{_how_loud(added)}")
    if what in {"removed", "both"}:
        when = _when(removed, " of the reference")
        parts.append(f"{_name(removed.phrases)} is gone{when}{_how_loud(removed)}")
    return "; ".join(parts)


def _undecided(added: ChangeSide, removed: ChangeSide) -> str:
    """Describe the sides of a bundle that cannot decide whether anything changed."""
    parts = [
        f"{verb} is {_name(side.phrases)}{_when(side, where)}".rstrip(",")
        for verb, side, where in (
            ("what the mixture has more of", added, ""),
            ("what it lacks", removed, " of the reference"),
        )
        if side.phrases
    ]
    unknown = "This bundle is not calibrated to tell whether anything changed."
    if not parts:
        return unknown
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}. {unknown}"


def _name(phrases: Sequence[RankedPhrase]) -> str:
    if not phrases:
        return "a sound"
    first = phrases[0]
    # Two labels may have the same phrase.
    second = next((each for each in phrases[1:] if each.phrase != first.phrase), None)
    if second and first.score - second.score < SURE_LEAD:
        return f"a sound, perhaps “{first.phrase}” or “{second.phrase}”,"
    return f"a sound like “{first.phrase}”"


def _when(side: ChangeSide, where: str) -> str:
    if side.start_s is None or side.end_s is None:
        return ""
    return f" from {side.start_s:.1f} s to {side.end_s:.1f} s{where}"


def _how_loud(side: ChangeSide) -> str:
    if side.level_db is None:
        return ""
    if abs(side.level_db) <= EQUAL_DB:
        return ", about as loud as the rest"
    word = "louder" if side.level_db > 0 else "quieter"
    return f", about {abs(side.level_db):.0f} dB {word} than the rest"


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.005 else f"{100.0 * share:.0f} %"
