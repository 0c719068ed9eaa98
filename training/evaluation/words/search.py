"""Searches in a collection, without the clips that a protocol leaves out."""

from __future__ import annotations

from collections.abc import Collection as Ids
from collections.abc import Iterable, Mapping, Sequence

from training.evaluation.words.items import Collection, Item
from training.evaluation.words.served import ServedLibrary

FIRST = 5
"""Hits that are looked at."""


class Search:
    """Searches one library by the items of its collection.

    Args:
        served: The library.
        collection: Its clips.
    """

    def __init__(self, served: ServedLibrary, collection: Collection) -> None:
        self._served = served
        self.collection = collection

    def first(
        self,
        sound: Item | None = None,
        *,
        reference: Item | None = None,
        text: str | None = None,
        left_out: Ids[str] = frozenset(),
        where: Mapping[str, object] | None = None,
    ) -> list[Item]:
        """Return the first `FIRST` hits that are not left out.

        Args:
            sound: The clip to search like; it is no hit itself.
            reference: The clip to subtract from it; it is no hit itself.
            text: The text.
            left_out: Ids of clips that count as not being in the library.
            where: Condition on the metadata of a hit.
        """
        answer = self._served.search(
            None if sound is None else sound.id,
            reference=None if reference is None else reference.id,
            text=text,
            k=FIRST + len(left_out),
            where=where,
        )
        ids = [clip_id for clip_id in answer.ids if clip_id not in left_out]
        return [self.collection.by_id[clip_id] for clip_id in ids[:FIRST]]

    def notices(self, text: str) -> frozenset[str]:
        """Return the codes of the notices of a search for a text."""
        return self._served.search(text=text, k=1).notices

    def first_phrase(self, mixture: Item, reference: Item) -> tuple[str, str] | None:
        """Return the first phrase for a difference, and its label; None if there is none."""
        for phrase in self._served.phrases(mixture.id, reference.id, 1):
            return phrase.phrase, phrase.label
        return None


def n_holding(hits: Iterable[Item], sounds: Iterable[str]) -> int:
    """Count the hits that hold one of the sounds."""
    wanted = frozenset(sounds)
    return sum(not wanted.isdisjoint(hit.sounds) for hit in hits)


def is_first_right(hits: Sequence[Item], sounds: Iterable[str]) -> float:
    """Return 1 if the first hit holds one of the sounds, else 0."""
    return float(n_holding(hits[:1], sounds) > 0)
