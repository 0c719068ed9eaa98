"""The labels of a set of scenes, and the label that a change adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.scenes.changes import Change
from training.scenes.load import SceneSet

ADDING_KINDS = ("add", "more")
"""Kinds of change after which the target has a sound that the query does not have."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The labels that towers are trained on, in a fixed order.

    Attributes:
        events: Classes of events.
        backgrounds: Kinds of background that are not classes of events.
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
        labels = {label for p in scenes.pairs for c in (p.query, p.target) for label in c.labels}
        return cls(tuple(sorted(events)), tuple(sorted(labels - events)))

    def encode(self, clips: Sequence[Iterable[str]]) -> Float32[np.ndarray, "clips labels"]:
        """Encode the labels of each clip as zeros and ones; unknown labels are left out."""
        column = {label: i for i, label in enumerate(self.labels)}
        encoded = np.zeros((len(clips), len(column)), np.float32)
        for row, labels in enumerate(clips):
            encoded[row, [column[label] for label in labels if label in column]] = 1.0
        return encoded


def added_label(changes: Iterable[Change]) -> str | None:
    """Return the label that the target has and the query does not have, if it is exactly one."""
    labels = [change.label for change in changes if change.kind in ADDING_KINDS]
    return labels[0] if len(labels) == 1 else None
