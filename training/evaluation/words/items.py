"""The clips of a collection that is searched, and what is known of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.attribution import TRAINED
from training.data.manifest import SourceClip
from training.data.splits import sources
from training.evaluation.overlap import trained_sources
from training.evaluation.words.tables import class_of, is_vague, sounds_of
from training.towers.export.export import ROLE

ROLES = (TRAINED, ROLE)
"""Roles in ``ATTRIBUTION.csv`` of the clips that the encoder or the towers were trained on."""
ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Item:
    """A clip of a collection.

    Attributes:
        id: Id in the library.
        sounds: Sounds that it holds, as far as labels say (``sounds.yaml``).
        recordings: The sources that it was cut from or mixed of.
        kind: Corpus and label.
    """

    id: str
    sounds: frozenset[str]
    recordings: frozenset[str]
    kind: tuple[str, str]


class Collection:
    """Items, by id and by recording.

    Args:
        items: The items; ids differ.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = list(items)
        self.by_id = {item.id: item for item in self.items}
        self._of_recording: dict[str, set[str]] = defaultdict(set)
        for item in self.items:
            for recording in item.recordings:
                self._of_recording[recording].add(item.id)

    def sharing(self, recordings: Iterable[str]) -> frozenset[str]:
        """List the ids of all items that are of one of the recordings."""
        return frozenset[str]().union(*(self._of_recording[each] for each in recordings))

    def others(self, item: Item) -> frozenset[str]:
        """List the ids of all items that share a recording with an item, its own included."""
        return self.sharing(item.recordings)

    def share(self, sounds: Iterable[str]) -> float:
        """Return the share of the items that hold one of the sounds: the rate of random hits."""
        wanted = frozenset(sounds)
        return sum(not wanted.isdisjoint(item.sounds) for item in self.items) / len(self.items)


def unseen_by_all(clips: Sequence[SourceClip], bundles: Iterable[Path]) -> list[SourceClip]:
    """Select the clips that share no source with a clip that a bundle was trained on.

    Raises:
        DatasetError: A bundle has no list of its clips.
    """
    seen = frozenset[str]().union(
        *(trained_sources(bundle, clips, roles=ROLES) for bundle in bundles)
    )
    return [clip for clip in clips if seen.isdisjoint(sources(clip) | {clip.name})]


def judged(clips: Iterable[SourceClip]) -> list[SourceClip]:
    """Select the clips whose label says what is heard."""
    return [clip for clip in clips if clip.columns.get("label") and not is_vague(clip)]


def item_of(clip: SourceClip) -> Item:
    """Describe a clip of the manifest."""
    return Item(clip_id(clip), sounds_of(clip), sources(clip), class_of(clip))


def clip_id(clip: SourceClip) -> str:
    """Return the id of a clip in a library: a hash of its path."""
    return hashlib.sha256(clip.name.encode()).hexdigest()[:ID_DIGITS]
