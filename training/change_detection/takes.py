"""What a detector is fitted and measured on: excerpts of recordings, as they are and with a sound.

A take is an excerpt of a recording, or the same with an event added, as one condition brings it.
Recordings and events are divided into the same five folds, so that whatever is tested on was
neither fitted to nor calibrated on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.data.loudness import loudness
from training.data.splits import matches, sources, union_of_sources
from training.data.store import ClipStore
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.scenes.pool import PERMISSIVE, QUIETEST_PEAK
from training.scenes.recipe import SceneRecipe, load_scene

FOLDS = 5
EXCERPT = 5 * SAMPLE_RATE
SHIFT = SAMPLE_RATE // 20
MAX_EXCERPTS = 6  # of a recording, evenly spread
QUIETEST_LUFS = -60.0  # a quieter excerpt is silence with noise, over which nothing is mixed

Condition = Literal["plain", "+6 dB", "-6 dB", "mp3", "50 ms"]
CONDITIONS: tuple[Condition, ...] = ("plain", "+6 dB", "-6 dB", "mp3", "50 ms")
# Beside the plain one, each excerpt is taken under two of the conditions, in turn.
TURNS: tuple[tuple[Condition, Condition], ...] = (("+6 dB", "mp3"), ("-6 dB", "50 ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """An excerpt of a recording under a condition.

    Attributes:
        row: Of the recording in the store.
        first: Its first sample.
        condition: What was done to it.
        event: Row of the event that was added; None if nothing was.
        onset: Where in the excerpt the event's active part begins, 0 (at once) to 1 (as late as
            all of it fits).
    """

    row: int
    first: int
    condition: Condition
    event: int | None = None
    onset: float = 0.0


@dataclass(frozen=True, slots=True)
class Material:
    """The recordings and events of a store.

    Attributes:
        store: All of them.
        recordings: Rows of the recordings that have two excerpts.
        events: Rows of the events.
        scene: The scene whose events and backgrounds these are.
    """

    store: ClipStore
    recordings: list[int]
    events: list[int]
    scene: SceneRecipe

    def fold(self, row: int) -> int:
        """Return the fold of a recording or an event: ESC-50's own, else by its recording."""
        clip = self.store.clips[row]
        if self.scene.is_event(clip):
            return int(clip.columns["fold"]) % FOLDS
        digest = hashlib.sha256(clip.recording.encode()).digest()
        return int.from_bytes(digest[:8], "big") % FOLDS

    def is_permissive(self, row: int) -> bool:
        """Tell whether a bundle that is fitted to a clip may be shipped."""
        return matches(self.store.clips[row], PERMISSIVE)


def find_material(store: ClipStore) -> Material:
    """List the recordings that have two excerpts side by side, and the events to add to them.

    A recording that shares a source with any event is left out.

    Raises:
        DatasetError: There are not two recordings, or no events.
    """
    scene = load_scene("general")
    heard = union_of_sources(clip for clip in store.clips if scene.is_event(clip))
    recordings, events = [], []
    for row, clip in enumerate(store.clips):
        if scene.is_event(clip):
            if np.abs(store.clip(row)).max() >= QUIETEST_PEAK:
                events.append(row)
        elif (
            scene.is_background(clip)
            and store.lengths[row] >= 2 * EXCERPT + SHIFT
            and heard.isdisjoint(sources(clip))
        ):
            recordings.append(row)
    if len(recordings) < 2 or not events:
        raise DatasetError(
            f"there are {len(recordings)} recordings of {2 * EXCERPT / SAMPLE_RATE:g} s or more of"
            f" {scene.backgrounds.where} and {len(events)} events of {scene.events.where}; 2 and 1"
            " are needed"
        )
    return Material(store, recordings, events, scene)


def draw_takes(material: Material, seed: int) -> list[Take]:
    """Draw the takes: of each excerpt three conditions, each without and with an event.

    Args:
        material: What to draw from.
        seed: Draws events and where they begin.
    """
    events = _events_by_fold(material)
    takes = []
    for row in material.recordings:
        random = np.random.default_rng([seed, row])
        allowed = events[material.fold(row), material.store.clips[row].columns["label"]]
        for place, first in enumerate(_firsts(material.store, row)):
            for condition in ("plain", *TURNS[place % len(TURNS)]):
                event = allowed[int(random.integers(len(allowed)))] if allowed else None
                onset = float(random.random())
                take = Take(row=row, first=first, condition=condition)
                takes.append(take)
                if event is not None:
                    takes.append(
                        Take(row=row, first=first, condition=condition, event=event, onset=onset)
                    )
    return takes


def _firsts(store: ClipStore, row: int) -> Sequence[int]:
    last = int(store.lengths[row]) - EXCERPT - SHIFT
    n_excerpts = min(MAX_EXCERPTS, 1 + 2 * last // EXCERPT)
    firsts = np.linspace(0, last, max(n_excerpts, 2)).astype(int).tolist()
    return [
        first
        for first in firsts
        if loudness(store.part(row, first, first + EXCERPT), SAMPLE_RATE) >= QUIETEST_LUFS
    ]


def _events_by_fold(material: Material) -> Mapping[tuple[int, str], list[int]]:
    """List the events that may be added, by fold and kind: none that is that sound."""
    own = material.scene.backgrounds.kinds
    clips = material.store.clips
    kinds = {clips[row].columns["label"] for row in material.recordings}
    allowed: dict[tuple[int, str], list[int]] = defaultdict(list)
    for event in material.events:
        for kind in kinds:
            if clips[event].columns["label"] not in own.get(kind, ()):
                allowed[material.fold(event), kind].append(event)
    return allowed
