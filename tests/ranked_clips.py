"""A stand-in for the library of `training.evaluation.words`, with a given order of the hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.inference.phrases import RankedPhrase
from training.evaluation.words.items import Collection, Item
from training.evaluation.words.search import Search
from training.evaluation.words.served import Answer


@dataclass(frozen=True)
class Asked:
    """Arguments of a search."""

    sound: str | None
    reference: str | None
    text: str | None


@dataclass
class RankedClips:
    """Answers every search with the clips in the order of their scores.

    Attributes:
        items: The clips.
        score: Score of a clip for a search; of equal ones the first comes first.
        notices: Codes of the notices of a text.
        phrase: Phrase and label for a mixture and a reference.
        asked: The searches so far.
    """

    items: Sequence[Item]
    score: Callable[[Asked, Item], float] = lambda _, __: 0.0
    notices: Callable[[str], frozenset[str]] = lambda _: frozenset()
    phrase: Callable[[str, str], tuple[str, str] | None] = lambda _, __: None
    asked: list[Asked] = field(default_factory=list)

    def search(
        self,
        sound: str | None = None,
        *,
        reference: str | None = None,
        text: str | None = None,
        k: int,
        where: Mapping[str, object] | None = None,
    ) -> Answer:
        asked = Asked(sound, reference, text)
        self.asked.append(asked)
        candidates = [
            item
            for item in self.items
            if item.id not in (sound, reference)
            and (where is None or where["corpus"] == item.kind[0])
        ]
        ranked = sorted(candidates, key=lambda item: -self.score(asked, item))
        return Answer([item.id for item in ranked[:k]], self.notices(text or ""))

    def phrases(self, mixture: str, reference: str, n: int) -> Sequence[RankedPhrase]:
        found = self.phrase(mixture, reference)
        return [] if found is None else [RankedPhrase(*found, score=1.0)][:n]

    def open(self) -> Search:
        return Search(self, Collection(self.items))


def clip(
    clip_id: str, *sounds: str, recording: str = "", kind: tuple[str, str] = ("corpus", "")
) -> Item:
    """Describe a clip; its recording is its own if not given."""
    return Item(clip_id, frozenset(sounds), frozenset({recording or clip_id}), kind)
