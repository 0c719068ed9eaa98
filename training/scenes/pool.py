"""The sources that pairs of one side are drawn from: no source is on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.data.manifest import SourceClip
from training.data.splits import background_sides, matches, sources, union_of_sources
from training.data.store import ClipStore
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.recipe import Columns
from training.scenes.activity import active_part
from training.scenes.load import EventRow
from training.scenes.pair import Background
from training.scenes.recipe import SceneRecipe, Side

PERMISSIVE: Columns = {"permissive": 1}

# A longer recording gives several backgrounds of this length; a shorter one is repeated [s].
BACKGROUND_S = 20.0
# Shortest half of a kind's only background [s].
SHORTEST_HALF_S = 5.0
# An event of a lower peak is silence with noise, and not brought to a level.
QUIETEST_PEAK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(EventRow):
    """A clip of one event, as it is drawn from.

    Attributes:
        from_s: Start of its active part in the file [s].
        length_s: Duration of its active part [s].
        is_held_out: Whether recipes of towers are compared on it.
    """

    from_s: float
    length_s: float
    is_held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePool:
    """All sources of one side of a scene.

    Attributes:
        scene: The scene.
        events: Events by class, in the order of the manifest.
        backgrounds: Backgrounds by kind, at least two of each.
    """

    scene: SceneRecipe
    events: Mapping[str, Sequence[Event]]
    backgrounds: Mapping[str, Sequence[Background]]

    def classes_on(self, kind: str) -> list[str]:
        """List the classes that may be added to a kind of background: all but its own sound."""
        same = self.scene.backgrounds.kinds[kind]
        return [label for label in self.events if label not in same]


def scene_clips(clips: Sequence[SourceClip], scene: SceneRecipe) -> list[SourceClip]:
    """Select all events and backgrounds of the corpora of a scene.

    Raises:
        DatasetError: There are none.
    """
    selected = [clip for clip in clips if scene.is_event(clip) or scene.is_background(clip)]
    if not selected:
        raise DatasetError(
            "scenes need a manifest with the columns corpus, label, fold, recording and "
            f"permissive, and clips of {scene.events.where} and {scene.backgrounds.where}; "
            "there are none"
        )
    return selected


def clips_of_side(clips: Sequence[SourceClip], scene: SceneRecipe, side: Side) -> list[SourceClip]:
    """Divide events and backgrounds, so that no source is on both sides.

    The recipe names the events for testing. Backgrounds are divided by recording, over all of
    them. A background that shares a source with an event, of either side, is on neither side.
    Any other clip that shares a source with the test side is not trained on.
    """
    backgrounds = [clip for clip in clips if scene.is_background(clip)]
    events = [clip for clip in clips if scene.is_event(clip)]
    sides = background_sides(backgrounds)
    event_sources = union_of_sources(events)
    backgrounds = [clip for clip in backgrounds if event_sources.isdisjoint(sources(clip))]
    tested = [clip for clip in backgrounds if sides[clip.recording] == "test"]
    tested += [clip for clip in events if scene.is_test_event(clip)]
    if side == "test":
        return tested
    tested_sources = union_of_sources(tested)
    return [clip for clip in events + backgrounds if tested_sources.isdisjoint(sources(clip))]


def build_pool(store: ClipStore, scene: SceneRecipe, side: Side, *, permissive: bool) -> ScenePool:
    """Find the sources of one side of a scene.

    Args:
        store: All clips of the scene (`scene_clips`).
        scene: The scene.
        side: The side.
        permissive: Use only clips whose licence lets a model trained on them be shipped.

    Raises:
        DatasetError: There is no background, or not two classes of events to change on it.
    """
    rows = {clip.name: row for row, clip in enumerate(store.clips)}
    clips = clips_of_side(store.clips, scene, side)
    if permissive:
        clips = [clip for clip in clips if matches(clip, PERMISSIVE)]
    events: dict[str, list[Event]] = defaultdict(list)
    backgrounds: dict[str, list[Background]] = {kind: [] for kind in scene.backgrounds.kinds}
    for clip in clips:
        label, row = clip.columns["label"], rows[clip.name]
        if scene.is_background(clip):
            if label in backgrounds:
                backgrounds[label] += _cut(clip, store.lengths[row] / SAMPLE_RATE)
        elif scene.has_class(label) and (event := _event(clip, store, row, scene)):
            events[label].append(event)
    usable = {kind: _at_least_two(cuts) for kind, cuts in sorted(backgrounds.items())}
    pool = ScenePool(
        scene=scene,
        events=dict(sorted(events.items())),
        backgrounds={kind: cuts for kind, cuts in usable.items() if cuts},
    )
    if not pool.backgrounds or any(len(pool.classes_on(kind)) < 2 for kind in pool.backgrounds):
        raise DatasetError(
            f"the {side} side has {len(pool.events)} classes of events and "
            f"{len(pool.backgrounds)} kinds of background; a scene needs a kind of background, "
            "and on each two classes of events that are not that sound"
        )
    return pool


def _event(clip: SourceClip, store: ClipStore, row: int, scene: SceneRecipe) -> Event | None:
    waveform = store.clip(row)
    part = active_part(waveform, SAMPLE_RATE)
    if part is None or np.abs(waveform).max() < QUIETEST_PEAK:
        return None
    start, stop = part
    fold = clip.columns.get("fold", "")
    return Event(
        path=clip.name,
        label=clip.columns["label"],
        fold=int(fold) if fold.isdecimal() else 0,
        from_s=start / SAMPLE_RATE,
        length_s=(stop - start) / SAMPLE_RATE,
        is_held_out=matches(clip, scene.events.held_out),
    )


def _cut(clip: SourceClip, duration_s: float) -> Iterable[Background]:
    """Cut a recording into backgrounds of 20 s; a shorter recording is one background."""
    n_cuts = int(duration_s // BACKGROUND_S)
    bounds = [(i * BACKGROUND_S, BACKGROUND_S) for i in range(n_cuts)] or [(0.0, duration_s)]
    for from_s, length_s in bounds:
        yield Background(
            path=clip.name,
            recording=clip.recording,
            kind=clip.columns["label"],
            from_s=from_s,
            length_s=length_s,
        )


def _at_least_two(backgrounds: list[Background]) -> list[Background]:
    """Halve the only background of a kind; return none where the halves are too short."""
    if len(backgrounds) != 1:
        return backgrounds
    (only,) = backgrounds
    half_s = only.length_s / 2
    if half_s < SHORTEST_HALF_S:
        return []
    return [replace(only, from_s=only.from_s + i * half_s, length_s=half_s) for i in range(2)]
