"""A pair of clips as it is drawn: all that is needed to render it, as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from training.scenes.changes import Change

Role = Literal["background", "event", "more"]

CLIP_S = 10.0
"""Duration of every clip of a pair [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """One of the two backgrounds of a pair.

    Attributes:
        path: Its file, as the manifest names it.
        recording: Recording that it was cut from.
        kind: Its label.
        from_s: Its start in the file [s].
        length_s: Its duration before it is repeated [s].
    """

    path: str
    recording: str
    kind: str
    from_s: float
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sound in one clip: an excerpt of a source.

    Attributes:
        role: `background`, `event`, or `more` of the background.
        label: Class of the event or kind of the background.
        path: File of the source, as the manifest names it.
        from_s: Start of the source in its file [s].
        length_s: Duration of the source [s].
        source_time_s: Start of the excerpt in the source [s].
        onset_s: Start of the excerpt in the clip [s].
        duration_s: Duration of the excerpt [s].
        snr_db: Loudness over the reference of the pair [LU].
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
        items: The sounds that it is the sum of.
        labels: Kind of the background, then the classes of the events in it.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSource:
    """The clean event behind the change of an event, where it occurs or is louder.

    Attributes:
        path: Its file, as the manifest names it.
        row: Its row among the embeddings of the clean events.
    """

    path: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query, a target, and the changes from the first to the second.

    Attributes:
        index: Number of the pair in its set.
        background_id: Number of its two backgrounds, which several pairs share; `bed` in files.
        backgrounds: The two backgrounds of the query, and of the target if it has no others; both
            clips have different excerpts of them.
        ref_db: Loudness of each background [LUFS].
        changes: One or two, of different sounds.
        query: The first clip.
        target: The second clip.
        sources: Clean event of each change of an event, by its label.
        target_background_id: Number of the backgrounds of the target where they are other
            recordings of the same kind, -1 - that of the query; None where they are those of the
            query. In files `target_bed`.
        target_backgrounds: These backgrounds, or None.
    """

    index: int
    background_id: Annotated[int, Field(validation_alias="bed")]
    backgrounds: tuple[Background, ...]
    ref_db: float
    changes: tuple[Change, ...]
    query: Clip
    target: Clip
    sources: Mapping[str, ChangeSource]
    target_background_id: Annotated[int | None, Field(validation_alias="target_bed")] = None
    target_backgrounds: tuple[Background, ...] | None = None

    @property
    def background_ids(self) -> tuple[int, int]:
        """Numbers of the backgrounds of the query and of the target."""
        other = self.target_background_id
        return self.background_id, self.background_id if other is None else other

    @property
    def reversed(self) -> Pair:
        """The pair that leads from the target to the query."""
        changes = tuple(change.inverse for change in self.changes)
        turned = replace(self, changes=changes, query=self.target, target=self.query)
        if self.target_background_id is None or self.target_backgrounds is None:
            return turned
        return replace(
            turned,
            background_id=self.target_background_id,
            backgrounds=self.target_backgrounds,
            target_background_id=self.background_id,
            target_backgrounds=self.backgrounds,
        )

    @property
    def items(self) -> tuple[Item, ...]:
        """The items of the query, then those of the target."""
        return self.query.items + self.target.items

    def to_json(self) -> str:
        """Write the pair as one line, which `pydantic.TypeAdapter(Pair)` reads back."""
        content = asdict(self)
        ids = {"index": content.pop("index"), "bed": content.pop("background_id")}
        other_bed, others = content.pop("target_background_id"), content.pop("target_backgrounds")
        if other_bed is not None:
            content |= {"target_bed": other_bed, "target_backgrounds": others}
        return json.dumps(ids | content, separators=(",", ":"))
