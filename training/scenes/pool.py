"""What the pairs of one side are drawn from: no source is on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from training.data.manifest import SourceClip
from training.data.splits import background_sides, matches, sources, union_of_sources
from training.data.store import ClipStore
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.recipe import Columns
from training.scenes.activity import active_part
from training.scenes.pair import Background
from training.scenes.scene import Scene, Side

EVENTS: Columns = {"corpus": "esc50"}
TEST_EVENTS: Columns = {"corpus": "esc50", "fold": 5}
# As the recipe `table` leaves out: an encoder trained with it heard no background of a test.
BACKGROUNDS: Columns = {"corpus": ["ambience", "traffic"]}
PERMISSIVE: Columns = {"permissive": 1}

# A longer recording gives several backgrounds of this length; a shorter one is repeated [s].
CUT_S = 20.0
# Each half of a kind's only background has at least this [s].
SHORTEST_HALF_S = 5.0
# An event of a lower peak is silence with noise, and not brought to a level.
QUIETEST_PEAK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A clip of one event.

    Attributes:
        path: File of it, as the manifest names it.
        label: Class of it.
        fold: Fold of ESC-50.
        from_s: Where in the file it becomes active [s].
        length_s: How long it is active [s].
    """

    path: str
    label: str
    fold: int
    from_s: float
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Everything one side of a scene is drawn from.

    Attributes:
        scene: The scene.
        events: Events by class, in the order of the manifest.
        backgrounds: Backgrounds by kind, at least two of each.
    """

    scene: Scene
    events: Mapping[str, Sequence[Event]]
    backgrounds: Mapping[str, Sequence[Background]]

    def classes_on(self, kind: str) -> list[str]:
        """List the classes that may happen on a kind of background: not those that are it."""
        own = self.scene.own_classes[kind]
        return [label for label in self.events if label not in own]


def scene_clips(clips: Sequence[SourceClip]) -> list[SourceClip]:
    """Keep the clips that any scene is made of, whatever its side.

    Raises:
        DatasetError: There are none.
    """
    kept = [clip for clip in clips if matches(clip, EVENTS) or matches(clip, BACKGROUNDS)]
    if not kept:
        raise DatasetError(
            "scenes need a manifest with the columns corpus, label, fold, recording and "
            f"permissive, and clips of {EVENTS} and {BACKGROUNDS}; there are none"
        )
    return kept


def clips_of_side(clips: Sequence[SourceClip], side: Side) -> list[SourceClip]:
    """Divide events and backgrounds, so that no source is heard on both sides.

    Events of fold 5 are for testing. Backgrounds are divided by recording, over all of them. A
    background that shares a source with an event, of either side, is on none; whatever else
    shares a source with what is tested on is not trained on.
    """
    backgrounds = [clip for clip in clips if matches(clip, BACKGROUNDS)]
    events = [clip for clip in clips if matches(clip, EVENTS)]
    sides = background_sides(backgrounds)
    heard = union_of_sources(events)
    backgrounds = [clip for clip in backgrounds if heard.isdisjoint(sources(clip))]
    tested = [clip for clip in backgrounds if sides[clip.recording] == "test"]
    tested += [clip for clip in events if matches(clip, TEST_EVENTS)]
    if side == "test":
        return tested
    named = union_of_sources(tested)
    return [clip for clip in events + backgrounds if named.isdisjoint(sources(clip))]


def build_pool(store: ClipStore, scene: Scene, side: Side, *, permissive: bool) -> Pool:
    """Find what one side of a scene is drawn from.

    Args:
        store: All clips that scenes are made of.
        scene: The scene.
        side: The side.
        permissive: Take only clips whose licence lets a model trained on them be shipped.

    Raises:
        DatasetError: There is no background, or not two classes of events to change on it.
    """
    rows = {clip.name: row for row, clip in enumerate(store.clips)}
    clips = clips_of_side(store.clips, side)
    if permissive:
        clips = [clip for clip in clips if matches(clip, PERMISSIVE)]
    events: dict[str, list[Event]] = defaultdict(list)
    backgrounds: dict[str, list[Background]] = {kind: [] for kind in scene.kinds}
    for clip in clips:
        label, row = clip.columns["label"], rows[clip.name]
        if matches(clip, BACKGROUNDS):
            if label in backgrounds:
                backgrounds[label] += _cuts(clip, store.lengths[row] / SAMPLE_RATE)
        elif scene.has_class(label) and (event := _event(clip, store, row)):
            events[label].append(event)
    usable = {kind: _at_least_two(cuts) for kind, cuts in sorted(backgrounds.items())}
    pool = Pool(
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


def _event(clip: SourceClip, store: ClipStore, row: int) -> Event | None:
    sound = store.clip(row)
    part = active_part(sound, SAMPLE_RATE)
    if part is None or abs(sound).max() < QUIETEST_PEAK:
        return None
    start, stop = part
    return Event(
        path=clip.name,
        label=clip.columns["label"],
        fold=int(clip.columns["fold"]),
        from_s=start / SAMPLE_RATE,
        length_s=(stop - start) / SAMPLE_RATE,
    )


def _cuts(clip: SourceClip, seconds: float) -> Iterable[Background]:
    n_cuts = int(seconds // CUT_S)
    bounds = [(i * CUT_S, CUT_S) for i in range(n_cuts)] or [(0.0, seconds)]
    for from_s, length_s in bounds:
        yield Background(
            path=clip.name,
            recording=clip.recording,
            kind=clip.columns["label"],
            from_s=from_s,
            length_s=length_s,
        )


def _at_least_two(cuts: list[Background]) -> list[Background]:
    """Halve the only background of a kind; none is left where that is too short."""
    if len(cuts) != 1:
        return cuts
    (only,) = cuts
    half = only.length_s / 2
    if half < SHORTEST_HALF_S:
        return []
    return [
        Background(
            path=only.path,
            recording=only.recording,
            kind=only.kind,
            from_s=only.from_s + i * half,
            length_s=half,
        )
        for i in range(2)
    ]
