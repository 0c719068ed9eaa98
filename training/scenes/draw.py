"""Random draw of pairs; the recipe of a pair is in docs/method.md, "Recipe of a pair".

Every pair depends on the scene, the side, the seed and its index only. Follows the paper's data:
both clips of a pair have the same two backgrounds of one kind, in different excerpts, and nothing
else but what changes; recording, onset and duration of an event are drawn anew for each clip.
Beyond the paper, the targets of a share of the pairs have two other recordings of the same kind as
backgrounds; all else of these pairs is as without that share.
Chosen here: 6 of 16 pairs have two changes; the six kinds are equally likely; levels are uniform
over 0 to 12 LU and drops over 6 to 12 LU; more of a background is at 4 to 12 LU over the
reference, since at 0 LU the level of the backgrounds would rise by less than 2 dB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from training.scenes.changes import BACKGROUND_CHANGES, CHANGE_KINDS, EVENT_CHANGES, Change
from training.scenes.other_recordings import with_other_recordings
from training.scenes.pair import CLIP_S, Background, ChangeSource, Clip, Item, Pair, Role
from training.scenes.pool import BACKGROUND_S, Event, ScenePool
from training.scenes.recipe import Side

REFERENCE_LUFS = (-36.0, -26.0)
BASE_DB = (0.0, 12.0)
DROP_DB = (6.0, 12.0)
MORE_DB = (4.0, 12.0)
ONSET_S = (0.0, 8.0)
DURATION_S = (3.0, 5.0)
TWO_CHANGES = 6 / 16
PAIRS_PER_BACKGROUND = {"train": 10, "test": 50}

Option = TypeVar("Option")
BackgroundPair = tuple[Background, Background]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """All that a set of pairs depends on, apart from the recordings.

    Attributes:
        scene: Name of the scene.
        side: Side of the scene.
        n_pairs: Number of pairs.
        seed: Another seed gives other pairs.
        permissive: Use only clips whose licence lets a model trained on them be shipped.
        other_recordings: Share of the pairs whose target has other recordings of the same kind as
            backgrounds, where the kind has enough recordings, 0 to 1.
    """

    scene: str
    side: Side
    n_pairs: int
    seed: int
    permissive: bool
    other_recordings: float = 0.0

    def rng(self, stream: str, index: int) -> np.random.Generator:
        """Make the generator of one index of a stream; no two streams or indices share one."""
        name = hashlib.sha256(f"{self.scene} {self.side} {stream}".encode()).digest()
        return np.random.default_rng([int.from_bytes(name[:8], "big"), self.seed, index])

    def to_dict(self) -> dict[str, Any]:
        """Write the plan as plain data, as `about.json` has it.

        A share of 0 is left out, as in folders that were made before there was one.
        """
        content = asdict(self)
        if not self.other_recordings:
            del content["other_recordings"]
        return content


def draw_pairs(pool: ScenePool, plan: PairPlan) -> list[Pair]:
    """Draw all pairs of a set; the first n of a larger set are those of a smaller one."""
    n_sharing = PAIRS_PER_BACKGROUND[plan.side]
    backgrounds = draw_backgrounds(pool, plan, -(-plan.n_pairs // n_sharing))
    rows = {event.path: row for row, event in enumerate(list_events(pool))}
    pairs = []
    for index in range(plan.n_pairs):
        background_id = index // n_sharing
        sampler = _PairSampler(pool, backgrounds[background_id], plan.rng("pair", index))
        pair = sampler.draw(index, background_id, rows)
        pairs.append(with_other_recordings(pair, pool, plan) if plan.other_recordings else pair)
    return pairs


def list_events(pool: ScenePool) -> list[Event]:
    """List the events of a pool in the order of the rows of their embeddings."""
    return [event for events in pool.events.values() for event in events]


def draw_backgrounds(pool: ScenePool, plan: PairPlan, n: int) -> list[BackgroundPair]:
    """Draw n times two backgrounds of one kind.

    The kinds alternate. Within a kind, all combinations of two occur before one is repeated;
    those of two recordings come before those of one.
    """
    kinds = [str(kind) for kind in plan.rng("kinds", 0).permutation(list(pool.backgrounds))]
    # The names of the streams are part of the seed.
    combined = {
        kind: _combine(pool.backgrounds[kind], plan.rng(f"beds {kind}", 0)) for kind in kinds
    }
    drawn = []
    for number in range(n):
        kind, turn = kinds[number % len(kinds)], number // len(kinds)
        drawn.append(combined[kind][turn % len(combined[kind])])
    return drawn


def _combine(backgrounds: Sequence[Background], rng: np.random.Generator) -> list[BackgroundPair]:
    pairs = list(combinations(backgrounds, 2))
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    return sorted(pairs, key=lambda pair: pair[0].recording == pair[1].recording)


class _PairSampler:
    """Draws one pair over two given backgrounds."""

    def __init__(
        self, pool: ScenePool, backgrounds: BackgroundPair, rng: np.random.Generator
    ) -> None:
        self._pool = pool
        self._backgrounds = backgrounds
        self._kind = backgrounds[0].kind
        self._rng = rng

    def draw(self, index: int, background_id: int, rows: dict[str, int]) -> Pair:
        """Draw the pair; `rows` has the row of the embedding of each event, by its path."""
        ref_db = self._uniform(REFERENCE_LUFS)
        query, target = self._excerpts(), self._excerpts()
        changes = self._changes()
        sources: dict[str, ChangeSource] = {}
        for change in changes:
            before, after = self._items_of(change)
            query += before
            target += after
            events = [item for item in before + after if item.role == "event"]
            if events:
                loudest = max(events, key=lambda item: item.snr_db)
                sources[change.label] = ChangeSource(path=loudest.path, row=rows[loudest.path])
        return Pair(
            index=index,
            background_id=background_id,
            backgrounds=self._backgrounds,
            ref_db=ref_db,
            changes=tuple(changes),
            query=self._clip(query),
            target=self._clip(target),
            sources=sources,
        )

    def _changes(self) -> list[Change]:
        """Draw one or two changes of different sounds; at most one is of the background."""
        first = _choose(CHANGE_KINDS, self._rng)
        kinds = [first]
        if self._rng.random() < TWO_CHANGES:
            others = EVENT_CHANGES if first in BACKGROUND_CHANGES else CHANGE_KINDS
            kinds.append(_choose(others, self._rng))
        classes = iter(self._rng.permutation(self._pool.classes_on(self._kind)))
        return [
            Change(kind, self._kind if kind in BACKGROUND_CHANGES else str(next(classes)))
            for kind in kinds
        ]

    def _items_of(self, change: Change) -> tuple[list[Item], list[Item]]:
        """Draw the items that a change adds to the query and to the target."""
        if change.kind in BACKGROUND_CHANGES:
            more = [self._more()]
            return ([], more) if change.kind == "more" else (more, [])
        base = self._uniform(BASE_DB)
        loud = [self._event(change.label, base)]
        if change.kind in ("add", "remove"):
            return ([], loud) if change.kind == "add" else (loud, [])
        quiet = [self._event(change.label, round(base - self._uniform(DROP_DB), 3))]
        return (quiet, loud) if change.kind == "louder" else (loud, quiet)

    def _event(self, label: str, snr_db: float) -> Item:
        event = _choose(self._pool.events[label], self._rng)
        duration_s = min(self._uniform(DURATION_S), event.length_s)
        return Item(
            role="event",
            label=label,
            path=event.path,
            from_s=event.from_s,
            length_s=event.length_s,
            source_time_s=0.0,
            onset_s=min(self._uniform(ONSET_S), CLIP_S - duration_s),
            duration_s=duration_s,
            snr_db=snr_db,
        )

    def _excerpts(self) -> list[Item]:
        return [self._excerpt("background", background, 0.0) for background in self._backgrounds]

    def _more(self) -> Item:
        background = _choose(self._pool.backgrounds[self._kind], self._rng)
        return self._excerpt("more", background, self._uniform(MORE_DB))

    def _excerpt(self, role: Role, background: Background, snr_db: float) -> Item:
        return Item(
            role=role,
            label=background.kind,
            path=background.path,
            from_s=background.from_s,
            length_s=background.length_s,
            source_time_s=self._uniform((0.0, BACKGROUND_S - CLIP_S)),
            onset_s=0.0,
            duration_s=CLIP_S,
            snr_db=snr_db,
        )

    def _clip(self, items: list[Item]) -> Clip:
        events = [item.label for item in items if item.role == "event"]
        return Clip(items=tuple(items), labels=(self._kind, *events))

    def _uniform(self, bounds: tuple[float, float]) -> float:
        return round(float(self._rng.uniform(*bounds)), 3)


def _choose(options: Sequence[Option], rng: np.random.Generator) -> Option:
    return options[int(rng.integers(len(options)))]
