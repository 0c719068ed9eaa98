"""The labels of a set of scenes, and which of them each clip and each change is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.scenes.changes import Change
from training.scenes.load import SceneSet

APPEARS = ("add", "more")
"""Kinds of change by which something is in the target that was not in the query."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The labels the towers know, in a fixed order.

    Attributes:
        events: Classes of events.
        backgrounds: Kinds of background that are no class of event.
    """

    events: tuple[str, ...]
    backgrounds: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the events first."""
        return self.events + self.backgrounds

    @classmethod
    def of(cls, scenes: SceneSet) -> Vocabulary:
        """Collect the labels of all pairs and of the clean events."""
        events = {row.label for row in scenes.event_rows}
        heard = {label for p in scenes.pairs for c in (p.query, p.target) for label in c.labels}
        return cls(tuple(sorted(events)), tuple(sorted(heard - events)))

    def heard(self, clips: Sequence[Iterable[str]]) -> Float32[np.ndarray, "clips labels"]:
        """Mark the labels of each clip with 1; labels that are not known are left out."""
        column = {label: i for i, label in enumerate(self.labels)}
        marks = np.zeros((len(clips), len(column)), np.float32)
        for row, labels in enumerate(clips):
            marks[row, [column[label] for label in labels if label in column]] = 1.0
        return marks


def appearing(changes: Iterable[Change]) -> str | None:
    """Name the one label that the target has and the query has not, if it is one."""
    labels = [change.label for change in changes if change.kind in APPEARS]
    return labels[0] if len(labels) == 1 else None
