"""Mixtures of one event over one background, of clips that no bundle was trained on.

For each kind of background, ``EVENTS`` classes of events are drawn. Each class is added twice: one
clip of it to an excerpt of one recording of the kind, and another clip of it to an excerpt of
another recording of the kind. So each mixture has a partner with the same two sounds that shares
nothing with it. The event has 0 to 10 LU over the background, drawn uniformly.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.data.loudness import amplitude, fade, loudness
from training.data.manifest import SourceClip
from training.data.splits import hash_recording, sources, union_of_sources
from training.data.store import ClipStore
from training.errors import DatasetError
from training.evaluation.words.items import Item, item_of
from training.evaluation.words.tables import SceneTable, class_of, sounds_of, sounds_of_label
from training.model.frontend import SAMPLE_RATE
from training.scenes.activity import active_part

EVENT_CORPUS = "esc50"
EVENTS = 20  # classes for each kind of background
RECORDINGS = 8  # most recordings of a kind
SCENE_SAMPLES = 5 * SAMPLE_RATE
SNR_LU = (0.0, 10.0)  # range of the event over the background
LEVEL_LUFS = -30.0  # of every background
QUIETEST_LUFS = -60.0  # a quieter clip is silence with noise, and not used
SEED = 9


@dataclass(frozen=True, slots=True)
class Scene:
    """A mixture, or the background alone.

    Attributes:
        id: Id in the library.
        kind: Kind of background.
        background: Row of the background in the store.
        event: Row of the event; None for the background alone.
        snr_lu: Loudness of the event over that of the background [LU].
        onset: Place of the event, from 0 (at the start) to 1 (as late as all of it fits).
    """

    id: str
    kind: str
    background: int
    event: int | None = None
    snr_lu: float = 0.0
    onset: float = 0.0


@dataclass(frozen=True, slots=True)
class Partners:
    """Two mixtures with the same two sounds and no common recording, with their backgrounds."""

    label: str
    mixtures: tuple[Scene, Scene]
    backgrounds: tuple[Scene, Scene]


def scene_clips(clips: Sequence[SourceClip], table: SceneTable) -> list[SourceClip]:
    """Select the clips of all backgrounds and events; none is of both.

    Raises:
        DatasetError: There are none.
    """
    events = [clip for clip in clips if _is_event(clip, table)]
    of_events = union_of_sources(events)
    beds = [
        clip
        for clip in clips
        if any(is_background(clip, table, kind) for kind in table.backgrounds)
        and of_events.isdisjoint(sources(clip))
    ]
    if not events or not beds:
        raise DatasetError(
            f"{len(events)} events and {len(beds)} backgrounds of the data were not used in"
            " training; mixtures need both"
        )
    return events + beds


def is_background(clip: SourceClip, table: SceneTable, kind: str) -> bool:
    """Tell whether a clip is of a kind of background."""
    corpus, label = class_of(clip)
    return label in table.backgrounds[kind].clips.get(corpus, ())


def draw_scenes(store: ClipStore, table: SceneTable) -> list[Partners]:
    """Draw the mixtures, the same ones for the same clips.

    Raises:
        DatasetError: No kind of background has two recordings, or no class two.
    """
    usable = [row for row in range(len(store.clips)) if _is_audible(store, row)]
    events: dict[str, list[int]] = defaultdict(list)
    for row in usable:
        if _is_event(store.clips[row], table):
            events[store.clips[row].columns["label"]].append(row)
    events = {label: _one_each(store, rows) for label, rows in sorted(events.items())}
    partners = []
    for number, kind in enumerate(sorted(table.backgrounds)):
        rows = [row for row in usable if is_background(store.clips[row], table, kind)]
        beds = _one_each(store, rows)[:RECORDINGS]
        labels = [label for label, of_label in events.items() if len(of_label) > 1]
        labels = [label for label in labels if label not in table.backgrounds[kind].like]
        if len(beds) > 1:
            random = np.random.default_rng([SEED, number])
            partners += [
                _draw_partners(kind, label, beds, events[label], random)
                for label in random.permutation(labels)[:EVENTS].tolist()
            ]
    if not partners:
        raise DatasetError("no background and no event has two recordings; mixtures need both")
    return partners


def render(store: ClipStore, scene: Scene) -> Float32[np.ndarray, " samples"]:
    """Render the middle of the background, repeated if it is short, with the event.

    Loudnesses are integrated (ITU-R BS.1770): that of the background after cutting, and that of
    the active part of the event. Nothing is clipped.
    """
    recording = store.clip(scene.background)
    if recording.size < SCENE_SAMPLES:
        recording = np.tile(recording, -(-SCENE_SAMPLES // recording.size))
    start = (recording.size - SCENE_SAMPLES) // 2
    samples = recording[start : start + SCENE_SAMPLES]
    samples = samples * np.float32(amplitude(LEVEL_LUFS - loudness(samples, SAMPLE_RATE)))
    if scene.event is None:
        return samples
    clip = store.clip(scene.event)
    first, last = active_part(clip, SAMPLE_RATE) or (0, clip.size)
    event = clip[first:last][:SCENE_SAMPLES]
    gain_db = LEVEL_LUFS + scene.snr_lu - loudness(event, SAMPLE_RATE)
    begin = round(scene.onset * (SCENE_SAMPLES - event.size))
    samples[begin : begin + event.size] += fade(event, SAMPLE_RATE) * np.float32(amplitude(gain_db))
    return samples


def scene_items(store: ClipStore, partners: Sequence[Partners]) -> Mapping[Scene, Item]:
    """Describe all mixtures and their backgrounds alone."""
    scenes = [scene for pair in partners for scene in (*pair.mixtures, *pair.backgrounds)]
    return {scene: _item(store, scene) for scene in scenes}


def event_items(store: ClipStore, table: SceneTable) -> dict[int, Item]:
    """Describe the clips of events, by their rows in the store."""
    rows = enumerate(store.clips)
    return {row: item_of(clip) for row, clip in rows if _is_event(clip, table)}


def event_sounds(label: str) -> frozenset[str]:
    """List the sounds of a class of events."""
    return sounds_of_label(EVENT_CORPUS, label)


def _item(store: ClipStore, scene: Scene) -> Item:
    rows = [scene.background] + ([] if scene.event is None else [scene.event])
    clips = [store.clips[row] for row in rows]
    sounds = frozenset[str]().union(*(sounds_of(clip) for clip in clips))
    label = "" if scene.event is None else clips[-1].columns["label"]
    return Item(scene.id, sounds, union_of_sources(clips), (scene.kind, label))


def _draw_partners(
    kind: str, label: str, beds: Sequence[int], events: Sequence[int], random: np.random.Generator
) -> Partners:
    """Draw two recordings of a kind and two clips of a class, and mix them."""
    rows = random.choice(len(beds), 2, replace=False)
    clips = random.choice(len(events), 2, replace=False)
    mixtures, backgrounds = [], []
    for place, (bed, event) in enumerate(zip(rows, clips, strict=True)):
        mixtures.append(
            Scene(
                f"{_plain(kind)}-{_plain(label)}-{place + 1}",
                kind,
                beds[bed],
                events[event],
                round(float(random.uniform(*SNR_LU)), 3),
                round(float(random.random()), 3),
            )
        )
        backgrounds.append(Scene(f"{_plain(kind)}-{beds[bed]}", kind, beds[bed]))
    return Partners(label, (mixtures[0], mixtures[1]), (backgrounds[0], backgrounds[1]))


def _one_each(store: ClipStore, rows: Sequence[int]) -> list[int]:
    """Choose one clip of each recording, in the order of the hashes of the recordings."""
    chosen: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: store.clips[row].name):
        chosen.setdefault(store.clips[row].recording, row)
    return [chosen[name] for name in sorted(chosen, key=hash_recording)]


def _is_event(clip: SourceClip, table: SceneTable) -> bool:
    corpus, label = class_of(clip)
    return corpus == EVENT_CORPUS and label in table.events


def _is_audible(store: ClipStore, row: int) -> bool:
    return loudness(store.clip(row), SAMPLE_RATE) >= QUIETEST_LUFS


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())
