"""A pair as it is drawn: everything its two clips are rendered from, as one line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from training.scenes.changes import Change

Role = Literal["background", "event", "more"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """One of the two sounds a pair lies on.

    Attributes:
        path: File of it, as the manifest names it.
        recording: Recording it was cut from.
        kind: Label of it.
        from_s: Where in the file it starts [s].
        length_s: How long it is before it is repeated [s].
    """

    path: str
    recording: str
    kind: str
    from_s: float
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sound in one clip.

    Attributes:
        role: `background`, `event`, or `more` of the background.
        label: Class of the event or kind of the background.
        path: File of it, as the manifest names it.
        from_s: Where in the file the sound starts that the excerpt is of [s].
        length_s: How long that sound is [s].
        source_time_s: Where in that sound the excerpt starts [s].
        onset_s: Where in the clip it starts [s].
        duration_s: How long it lasts [s].
        snr_db: Its loudness over the reference of the pair [LU].
    """

    role: Role
    label: str
    path: str
    from_s: float
    length_s: float
    source_time_s: float
    onset_s: float
    duration_s: float
    snr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip of a pair.

    Attributes:
        items: What it is the sum of.
        labels: What is heard in it: the kind of the background, then the classes of events.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The event of a change where it is heard, or heard louder.

    Attributes:
        path: File of it, as the manifest names it.
        row: Row of the embeddings of the clean events.
    """

    path: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query, a target, and what changes from one to the other.

    Attributes:
        index: Which pair of the set.
        bed: Which pair of backgrounds; pairs of one bed share it.
        backgrounds: The two sounds that both clips lie on, in excerpts of their own.
        ref_db: Loudness of each background [LUFS].
        changes: One or two, never to the same sound.
        query: The first clip.
        target: The second clip.
        sources: The event of each change of an event, by its label.
    """

    index: int
    bed: int
    backgrounds: tuple[Background, ...]
    ref_db: float
    changes: tuple[Change, ...]
    query: Clip
    target: Clip
    sources: Mapping[str, Source]

    @property
    def reversed(self) -> Pair:
        """The pair that leads from the target to the query."""
        return Pair(
            index=self.index,
            bed=self.bed,
            backgrounds=self.backgrounds,
            ref_db=self.ref_db,
            changes=tuple(change.inverse for change in self.changes),
            query=self.target,
            target=self.query,
            sources=self.sources,
        )
