"""Excerpts of recordings, without and with an added event, that detectors are fitted to.

Recordings and events are divided into the same five folds, so the excerpts that a detector is
tested on share nothing with those that it was fitted and calibrated on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from training.data.loudness import loudness
from training.data.splits import sources, union_of_sources
from training.data.store import ClipStore
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.scenes.pool import QUIETEST_PEAK
from training.scenes.recipe import SceneRecipe

FOLDS = 5
EXCERPT_SAMPLES = 5 * SAMPLE_RATE
SHIFT_SAMPLES = SAMPLE_RATE // 20
MAX_EXCERPTS = 6  # of a recording, evenly spread
QUIETEST_LUFS = -60.0  # quieter excerpts are noise; nothing is mixed with them

Condition = Literal["plain", "+6 dB", "-6 dB", "mp3", "50 ms"]
CONDITIONS: tuple[Condition, ...] = ("plain", "+6 dB", "-6 dB", "mp3", "50 ms")
EXTRA_CONDITIONS: tuple[tuple[Condition, Condition], ...] = (("+6 dB", "mp3"), ("-6 dB", "50 ms"))
"""Conditions of an excerpt besides the plain one; excerpts of a recording alternate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """An excerpt of a recording under a condition, without or with an event.

    Attributes:
        recording: Row of the recording in the store.
        start: Its first sample in the recording.
        condition: How it is processed.
        event: Row of the added event in the store; None if nothing is added.
        onset: Place of the active part of the event, from 0 (at the start of the excerpt) to 1
            (as late as all of it fits).
        is_lasting: Whether the event is the one that all excerpts of the recording have, as
            references of which the mixture lacks something.
    """

    recording: int
    start: int
    condition: Condition
    event: int | None = None
    onset: float = 0.0
    is_lasting: bool = False

    @property
    def is_plain(self) -> bool:
        """True for the unprocessed recording without an event."""
        return self.condition == "plain" and self.event is None


@dataclass(frozen=True, slots=True)
class DetectionClips:
    """The recordings and events of a store that excerpts are made from.

    Attributes:
        store: All clips.
        recordings: Rows of the recordings that are long enough for two excerpts.
        events: Rows of the events.
        scene: The scene whose backgrounds and events they are.
    """

    store: ClipStore
    recordings: list[int]
    events: list[int]
    scene: SceneRecipe

    def fold(self, row: int) -> int:
        """Return the fold of a clip: that of ESC-50 for an event, else by a hash."""
        clip = self.store.clips[row]
        if self.scene.is_event(clip):
            return int(clip.columns["fold"]) % FOLDS
        digest = hashlib.sha256(clip.recording.encode()).digest()
        return int.from_bytes(digest[:8], "big") % FOLDS


def select_clips(store: ClipStore, scene: SceneRecipe) -> DetectionClips:
    """Select the recordings that are long enough for two excerpts, and the events.

    A recording that shares a source with an event is left out.

    Raises:
        DatasetError: There are fewer than two recordings, or no events.
    """
    event_sources = union_of_sources(clip for clip in store.clips if scene.is_event(clip))
    recordings, events = [], []
    for row, clip in enumerate(store.clips):
        if scene.is_event(clip):
            if np.abs(store.clip(row)).max() >= QUIETEST_PEAK:
                events.append(row)
        elif (
            scene.is_background(clip)
            and store.lengths[row] >= 2 * EXCERPT_SAMPLES + SHIFT_SAMPLES
            and event_sources.isdisjoint(sources(clip))
        ):
            recordings.append(row)
    if len(recordings) < 2 or not events:
        shortest_s = 2 * EXCERPT_SAMPLES / SAMPLE_RATE
        raise DatasetError(
            f"there are {len(recordings)} recordings of {shortest_s:g} s or more of"
            f" {scene.backgrounds.where} and {len(events)} events of {scene.events.where}; 2 and 1"
            " are needed"
        )
    return DetectionClips(store, recordings, events, scene)


def draw_excerpts(clips: DetectionClips, seed: int) -> list[Excerpt]:
    """Draw the excerpts: three conditions of each, each without and with an event.

    Besides, every excerpt has once, unprocessed, the one event that is the same in all excerpts of
    the recording.

    Args:
        clips: Recordings and events.
        seed: Of the drawn events and their onsets.
    """
    events = _events_by_fold(clips)
    excerpts = []
    for row in clips.recordings:
        random = np.random.default_rng([seed, row])
        allowed = events[clips.fold(row), clips.store.clips[row].columns["label"]]
        for place, start in enumerate(_starts(clips.store, row)):
            for condition in ("plain", *EXTRA_CONDITIONS[place % len(EXTRA_CONDITIONS)]):
                event = allowed[int(random.integers(len(allowed)))] if allowed else None
                onset = float(random.random())
                excerpt = Excerpt(recording=row, start=start, condition=condition)
                excerpts.append(excerpt)
                if event is not None:
                    excerpts.append(replace(excerpt, event=event, onset=onset))
    return excerpts + _lasting(clips, excerpts, events, seed)


def _lasting(
    clips: DetectionClips,
    excerpts: Sequence[Excerpt],
    events: Mapping[tuple[int, str], list[int]],
    seed: int,
) -> list[Excerpt]:
    """Draw for every recording an event, and for every plain excerpt its onset."""
    lasting = []
    drawn: dict[int, tuple[np.random.Generator, int | None]] = {}
    for excerpt in excerpts:
        if not excerpt.is_plain:
            continue
        row = excerpt.recording
        if row not in drawn:
            random = np.random.default_rng([seed, row, 1])
            allowed = events[clips.fold(row), clips.store.clips[row].columns["label"]]
            chosen = allowed[int(random.integers(len(allowed)))] if allowed else None
            drawn[row] = random, chosen
        random, event = drawn[row]
        if event is not None:
            onset = float(random.random())
            lasting.append(replace(excerpt, event=event, onset=onset, is_lasting=True))
    return lasting


def _starts(store: ClipStore, row: int) -> Sequence[int]:
    last = int(store.lengths[row]) - EXCERPT_SAMPLES - SHIFT_SAMPLES
    n_excerpts = min(MAX_EXCERPTS, 1 + 2 * last // EXCERPT_SAMPLES)
    starts = np.linspace(0, last, max(n_excerpts, 2)).astype(int).tolist()
    return [
        start
        for start in starts
        if loudness(store.part(row, start, start + EXCERPT_SAMPLES), SAMPLE_RATE) >= QUIETEST_LUFS
    ]


def _events_by_fold(clips: DetectionClips) -> Mapping[tuple[int, str], list[int]]:
    """List the events that may be added, by fold and label of the recording.

    Events of the same sound as the recording, such as rain in rain, are left out.
    """
    same_sounds = clips.scene.backgrounds.kinds
    labels = {clips.store.clips[row].columns["label"] for row in clips.recordings}
    allowed: dict[tuple[int, str], list[int]] = defaultdict(list)
    for event in clips.events:
        for label in labels:
            if clips.store.clips[event].columns["label"] not in same_sounds.get(label, ()):
                allowed[clips.fold(event), label].append(event)
    return allowed
