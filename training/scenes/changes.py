"""The six kinds of change from the query of a pair to its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

EventChange = Literal["add", "remove", "louder", "quieter"]
BackgroundChange = Literal["more", "less"]
ChangeKind = EventChange | BackgroundChange

EVENT_CHANGES: tuple[EventChange, ...] = get_args(EventChange)
BACKGROUND_CHANGES: tuple[BackgroundChange, ...] = get_args(BackgroundChange)
CHANGE_KINDS: tuple[ChangeKind, ...] = EVENT_CHANGES + BACKGROUND_CHANGES

SIGNS: Mapping[ChangeKind, float] = {
    "add": 1.0,
    "louder": 1.0,
    "more": 1.0,
    "remove": -1.0,
    "quieter": -1.0,
    "less": -1.0,
}
"""1 where the target has more of the sound than the query, -1 where it has less."""

_INVERSE: dict[ChangeKind, ChangeKind] = {
    "add": "remove",
    "remove": "add",
    "louder": "quieter",
    "quieter": "louder",
    "more": "less",
    "less": "more",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change from query to target.

    Attributes:
        kind: Kind of the change.
        label: The sound that changes: a class of events, or the kind of the background.
    """

    kind: ChangeKind
    label: str

    @property
    def inverse(self) -> Change:
        """The change from the target to the query."""
        return Change(_INVERSE[self.kind], self.label)
