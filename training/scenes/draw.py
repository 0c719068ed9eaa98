"""The recipe of a pair (facts, section 3.3): every draw is a function of four numbers.

What can be read off the paper's data is taken as it is: two backgrounds of one kind at the
reference, in excerpts of their own in each clip; nothing else but what changes; recording, onset
and duration of an event drawn anew in each clip. What cannot be read off is chosen: six of sixteen
pairs have two changes, as those that were read; the six kinds are as frequent as another; base
levels are uniform over 0 to 12 LU and drops over 6 to 12; more of a background has 4 to 12 LU over
the reference, since at 0 the bed would rise by less than 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from training.scenes.changes import BACKGROUND_CHANGES, CHANGE_KINDS, EVENT_CHANGES, Change
from training.scenes.pair import Background, Clip, Item, Pair, Role, Source
from training.scenes.pool import CUT_S, Event, Pool
from training.scenes.scene import CLIP_S, SceneName, Side

REFERENCE_LUFS = (-36.0, -26.0)
BASE_DB = (0.0, 12.0)
DROP_DB = (6.0, 12.0)
MORE_DB = (4.0, 12.0)
ONSET_S = (0.0, 8.0)
DURATION_S = (3.0, 5.0)
TWO_CHANGES = 6 / 16
PAIRS_PER_BED = {"train": 10, "test": 50}

Option = TypeVar("Option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a set of pairs is a function of, apart from the recordings.

    Attributes:
        scene: Which scene.
        side: Which side of it.
        n_pairs: How many pairs.
        seed: Another seed gives other pairs.
        permissive: Only clips whose licence lets a model trained on them be shipped.
    """

    scene: SceneName
    side: Side
    n_pairs: int
    seed: int
    permissive: bool

    def draw(self, stream: str, index: int) -> np.random.Generator:
        """Make the generator of one pair or bed; no two streams or indices share it."""
        name = hashlib.sha256(f"{self.scene} {self.side} {stream}".encode()).digest()
        return np.random.default_rng([int.from_bytes(name[:8], "big"), self.seed, index])


def draw_pairs(pool: Pool, plan: Plan) -> list[Pair]:
    """Draw all pairs of a set; the first n of a larger set are those of a smaller one."""
    per_bed = PAIRS_PER_BED[plan.side]
    beds = draw_beds(pool, plan, -(-plan.n_pairs // per_bed))
    rows = {event.path: row for row, event in enumerate(list_events(pool))}
    return [
        _PairDraw(pool, beds[i // per_bed], plan.draw("pair", i)).pair(i, i // per_bed, rows)
        for i in range(plan.n_pairs)
    ]


def list_events(pool: Pool) -> list[Event]:
    """List the events of a pool in the order of the rows of their embeddings."""
    return [event for events in pool.events.values() for event in events]


def draw_beds(pool: Pool, plan: Plan, n_beds: int) -> list[tuple[Background, Background]]:
    """Draw the two backgrounds of each bed, of one kind.

    The kinds take turns, and so do the pairs of each kind, those of two recordings before those
    of one; a pair comes again only when all have been taken.
    """
    kinds = [str(kind) for kind in plan.draw("kinds", 0).permutation(list(pool.backgrounds))]
    turns = {kind: _turns(pool.backgrounds[kind], plan.draw(f"beds {kind}", 0)) for kind in kinds}
    beds = []
    for bed in range(n_beds):
        kind, turn = kinds[bed % len(kinds)], bed // len(kinds)
        beds.append(turns[kind][turn % len(turns[kind])])
    return beds


def _turns(
    backgrounds: Sequence[Background], draw: np.random.Generator
) -> list[tuple[Background, Background]]:
    pairs = list(combinations(backgrounds, 2))
    pairs = [pairs[i] for i in draw.permutation(len(pairs))]
    return sorted(pairs, key=lambda pair: pair[0].recording == pair[1].recording)


class _PairDraw:
    """The draws of one pair."""

    def __init__(
        self, pool: Pool, bed: tuple[Background, Background], draw: np.random.Generator
    ) -> None:
        self._pool = pool
        self._bed = bed
        self._kind = bed[0].kind
        self._draw = draw

    def pair(self, index: int, bed: int, rows: dict[str, int]) -> Pair:
        ref_db = self._uniform(REFERENCE_LUFS)
        query, target = self._excerpts(), self._excerpts()
        changes = self._changes()
        sources: dict[str, Source] = {}
        for change in changes:
            before, after = self._apply(change)
            query += before
            target += after
            heard = [item for item in before + after if item.role == "event"]
            if heard:
                loudest = max(heard, key=lambda item: item.snr_db)
                sources[change.label] = Source(path=loudest.path, row=rows[loudest.path])
        return Pair(
            index=index,
            bed=bed,
            backgrounds=self._bed,
            ref_db=ref_db,
            changes=tuple(changes),
            query=self._clip(query),
            target=self._clip(target),
            sources=sources,
        )

    def _changes(self) -> list[Change]:
        """Draw one or two changes of different sounds; at most one is of the background."""
        first = _one(CHANGE_KINDS, self._draw)
        kinds = [first]
        if self._draw.random() < TWO_CHANGES:
            others = EVENT_CHANGES if first in BACKGROUND_CHANGES else CHANGE_KINDS
            kinds.append(_one(others, self._draw))
        classes = iter(self._draw.permutation(self._pool.classes_on(self._kind)))
        return [
            Change(kind, self._kind if kind in BACKGROUND_CHANGES else str(next(classes)))
            for kind in kinds
        ]

    def _apply(self, change: Change) -> tuple[list[Item], list[Item]]:
        """Draw what a change puts into the query and into the target."""
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
        event = _one(self._pool.events[label], self._draw)
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
        return [self._excerpt("background", background, 0.0) for background in self._bed]

    def _more(self) -> Item:
        background = _one(self._pool.backgrounds[self._kind], self._draw)
        return self._excerpt("more", background, self._uniform(MORE_DB))

    def _excerpt(self, role: Role, background: Background, snr_db: float) -> Item:
        return Item(
            role=role,
            label=background.kind,
            path=background.path,
            from_s=background.from_s,
            length_s=background.length_s,
            source_time_s=self._uniform((0.0, CUT_S - CLIP_S)),
            onset_s=0.0,
            duration_s=CLIP_S,
            snr_db=snr_db,
        )

    def _clip(self, items: list[Item]) -> Clip:
        events = [item.label for item in items if item.role == "event"]
        return Clip(items=tuple(items), labels=(self._kind, *events))

    def _uniform(self, bounds: tuple[float, float]) -> float:
        return round(float(self._draw.uniform(*bounds)), 3)


def _one(options: Sequence[Option], draw: np.random.Generator) -> Option:
    return options[int(draw.integers(len(options)))]
