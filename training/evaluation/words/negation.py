"""Protocol `negation`: does a text that takes a sound away bring fewer clips with it?

Each mixture is searched like, once without a text and once with each of five wordings that take
away its background ("without the rain"), and five that take away its event ("without the dog").
Clips that share a recording with the mixture count as not being in the library. Counted among the
first five hits: those that hold the unwanted sound, and those that hold the sound that should stay.
The ratio of the former with the text to those without it is 1 if the text has no effect, and 0 if
the unwanted sound is gone. Where the sound that should stay is lost as well, the text did not
remove a sound but the whole query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from training.evaluation.words.figures import mean, ratio
from training.evaluation.words.items import Item
from training.evaluation.words.scenes import Partners, Scene, event_sounds
from training.evaluation.words.search import Search, n_holding
from training.evaluation.words.tables import SceneTable
from training.words.names import without_article

WORDINGS = {
    "without": "without the {}",
    "no": "no {}",
    "less": "less {}",
    "minus": "minus the {}",
    "quieter": "quieter {}",
}


@dataclass(frozen=True, slots=True)
class Removal:
    """A sound that is taken away from a mixture.

    Attributes:
        item: The mixture.
        name: Name of the sound.
        unwanted: The sound.
        wanted: The sound that should stay.
    """

    item: Item
    name: str
    unwanted: frozenset[str]
    wanted: frozenset[str]


def measure(
    search: Search,
    partners: Sequence[Partners],
    items: Mapping[Scene, Item],
    table: SceneTable,
) -> dict[str, Any]:
    """Search like every mixture, without and with each text.

    Args:
        search: The collection of the mixtures.
        partners: The mixtures.
        items: Their items.
        table: Names of the sounds.

    Returns:
        For ``background`` and ``event``, for each wording and for the mean of ``all``: the mean
        number of ``unwanted`` and of ``wanted`` hits of five, each without a text (``before``) and
        with it (``after``), and the ``ratio`` of the unwanted ones.
    """
    backgrounds, events = [], []
    for pair in partners:
        for scene in pair.mixtures:
            bed, event = frozenset({scene.kind}), event_sounds(pair.label)
            names = table.backgrounds[scene.kind].name, table.events[pair.label]
            backgrounds.append(Removal(items[scene], names[0], bed, event))
            events.append(Removal(items[scene], names[1], event, bed))
    return {
        "background": _measure_removals(search, backgrounds),
        "event": _measure_removals(search, events),
    }


def _measure_removals(search: Search, removals: Sequence[Removal]) -> dict[str, Any]:
    before = np.array([_count(search, removal, None) for removal in removals], np.float64)
    after = {
        name: np.array([_count(search, removal, text) for removal in removals], np.float64)
        for name, text in WORDINGS.items()
    }
    of_all = np.stack(list(after.values())).mean(axis=0)
    return {name: _figures(before, each) for name, each in {"all": of_all, **after}.items()}


def _count(search: Search, removal: Removal, wording: str | None) -> tuple[int, int]:
    """Count the unwanted and the wanted hits among the first five."""
    text = None if wording is None else wording.format(without_article(removal.name))
    hits = search.first(removal.item, text=text, left_out=search.collection.others(removal.item))
    return n_holding(hits, removal.unwanted), n_holding(hits, removal.wanted)


def _figures(
    before: Float64[np.ndarray, "queries two"], after: Float64[np.ndarray, "queries two"]
) -> dict[str, Any]:
    (unwanted, wanted), (unwanted_after, wanted_after) = before.T, after.T
    return {
        "unwanted": {"before": mean(unwanted), "after": mean(unwanted_after)},
        "wanted": {"before": mean(wanted), "after": mean(wanted_after)},
        "ratio": ratio(unwanted_after, unwanted),
    }
