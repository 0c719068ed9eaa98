"""Reading of the official APwD release (docs/method.md, "The APwD release").

The release holds JAMS files, but no audio and no words. The changes of a pair are recovered from
the recipes of its two clips; `apwd_audio` renders the audio from the user's FSD50K and ESC-50.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import DatasetError
from training.scenes.changes import Change
from training.scenes.jams import JamsItem, Soundscape, read_soundscape
from training.scenes.load import EventRow
from training.scenes.pair import Background, ChangeSource, Clip, Item, Pair

# Names that the release has for classes of ESC-50.
LABELS = {"thunder": "thunderstorm", "birds": "chirping_birds", "church_bell": "church_bells"}

_NAME = re.compile(r"_(\d+)_s1$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The pairs of one subset and split.

    Attributes:
        kind: Kind of the backgrounds.
        sample_rate: Rate the clips are rendered at [Hz].
        pairs: The pairs, in the order of their numbers.
        events: The events that occur, in the order of the rows of their embeddings.
    """

    kind: str
    sample_rate: int
    pairs: list[Pair]
    events: list[EventRow]


def read_release(folder: Path) -> Release:
    """Read all pairs of a folder of JAMS files, `..._<number>_s1.jams` and `..._s2.jams`.

    Raises:
        DatasetError: There are none, one of a pair is missing, or a pair is not of this kind.
    """
    soundscapes = {
        int(found[1]): (read_soundscape(path), read_soundscape(_second(path)))
        for path in sorted(folder.glob("*_s1.jams"))
        if (found := _NAME.search(path.stem))
    }
    if not soundscapes:
        raise DatasetError(f"{folder} holds no files named ..._<number>_s1.jams")
    clips = [clip for pair in soundscapes.values() for clip in pair]
    kinds = {_label(item) for clip in clips for item in clip.of_role("background")}
    rates = {clip.sample_rate for clip in clips}
    if len(kinds) != 1 or len(rates) != 1:
        raise DatasetError(
            f"{folder} mixes backgrounds {sorted(kinds)} and rates {sorted(rates)}; "
            "read one subset at a time"
        )
    (kind,), (sample_rate,) = kinds, rates
    events = _event_rows(clips, kind)
    rows = {event.path: row for row, event in enumerate(events)}
    background_ids: dict[tuple[str, ...], int] = {}
    pairs = []
    for index in sorted(soundscapes):
        query, target = soundscapes[index]
        files = tuple(sorted({item.file for item in query.of_role("background")}))
        background_id = background_ids.setdefault(files, len(background_ids))
        pairs.append(_PairReader(kind, query, target).read(index, background_id, rows))
    return Release(kind=kind, sample_rate=sample_rate, pairs=pairs, events=events)


def recover_changes(query: Soundscape, target: Soundscape, kind: str) -> list[Change]:
    """Recover the changes from one clip to the other (docs/method.md, "Recovering the changes").

    A sound of the target only was added and one of the query only was removed; for the sound of
    the background that is more or less of it. One of both became louder or quieter. The change of
    the background comes last.
    """
    before, after = _levels(query), _levels(target)
    changes = []
    for label in sorted(before.keys() | after.keys(), key=lambda label: (label == kind, label)):
        was, is_ = before.get(label), after.get(label)
        if was is None or is_ is None:
            gained, lost = ("more", "less") if label == kind else ("add", "remove")
            changes.append(Change(gained if was is None else lost, label))  # type: ignore[arg-type]  # a pair of literals
        elif was != is_:
            changes.append(Change("louder" if is_ > was else "quieter", label))
    return changes


def _second(path: Path) -> Path:
    return path.with_name(path.name.replace("_s1.jams", "_s2.jams"))


def _label(item: JamsItem) -> str:
    return LABELS.get(item.label, item.label)


def _levels(clip: Soundscape) -> Mapping[str, float]:
    """Find the level of the loudest foreground sound of each label [LU]."""
    levels: dict[str, float] = {}
    for item in clip.of_role("foreground"):
        label = _label(item)
        levels[label] = max(item.snr, levels.get(label, item.snr))
    return levels


def _event_rows(clips: Sequence[Soundscape], kind: str) -> list[EventRow]:
    labels = {
        item.file: _label(item)
        for clip in clips
        for item in clip.of_role("foreground")
        if _label(item) != kind
    }
    return [EventRow(path=f, label=labels[f], fold=_fold(f)) for f in sorted(labels)]


def _fold(file: str) -> int:
    """Read the fold off the name of a clip of ESC-50; 0 for another name."""
    first = file.split("-", 1)[0]
    return int(first) if first.isdecimal() else 0


class _PairReader:
    """Translates two soundscapes into a pair."""

    def __init__(self, kind: str, query: Soundscape, target: Soundscape) -> None:
        self._kind = kind
        self._query = query
        self._target = target

    def read(self, index: int, background_id: int, rows: Mapping[str, int]) -> Pair:
        """Build the pair; `rows` has the row of the embedding of each event, by its file."""
        changes = recover_changes(self._query, self._target, self._kind)
        if not changes or self._query.ref_db != self._target.ref_db:
            raise DatasetError(
                f"pair {index} is none: its clips have the references {self._query.ref_db:g} and "
                f"{self._target.ref_db:g}, and {len(changes)} changes; 1 or more are needed"
            )
        return Pair(
            index=index,
            background_id=background_id,
            backgrounds=tuple(self._background(i) for i in self._query.of_role("background")),
            ref_db=self._query.ref_db,
            changes=tuple(changes),
            query=self._clip(self._query),
            target=self._clip(self._target),
            sources=self._sources(changes, rows),
        )

    def _background(self, item: JamsItem) -> Background:
        length_s = item.source_time + item.event_duration
        return Background(
            path=item.file, recording=item.file, kind=self._kind, from_s=0.0, length_s=length_s
        )

    def _clip(self, clip: Soundscape) -> Clip:
        events = [_label(i) for i in clip.of_role("foreground") if _label(i) != self._kind]
        return Clip(
            items=tuple(self._item(item) for item in clip.items), labels=(self._kind, *events)
        )

    def _item(self, item: JamsItem) -> Item:
        label = _label(item)
        is_more = item.role == "foreground" and label == self._kind
        return Item(
            role="more" if is_more else "event" if item.role == "foreground" else "background",
            label=label,
            path=item.file,
            from_s=0.0,
            length_s=item.source_time + item.event_duration,
            source_time_s=item.source_time,
            onset_s=item.event_time,
            duration_s=item.event_duration,
            snr_db=item.snr,
        )

    def _sources(
        self, changes: Sequence[Change], rows: Mapping[str, int]
    ) -> dict[str, ChangeSource]:
        sources = {}
        for change in changes:
            clip = self._target if change.kind in ("add", "louder") else self._query
            items = [i for i in clip.of_role("foreground") if _label(i) == change.label]
            if items and change.label != self._kind:
                file = max(items, key=lambda item: item.snr).file
                sources[change.label] = ChangeSource(path=file, row=rows[file])
        return sources
