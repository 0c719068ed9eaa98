"""Protocol `composition`: a background and the text "with X" find X over such a background.

The query is the excerpt of a recording of a background, alone, and the text "with" and the name of
an event, such as "with a dog". Three libraries:

``another``: the target has another recording of the same kind of background, and nothing else of
the query's own recording is in the library.
``another_beside_own``: the same target, but the own recording is in the library with other events.
``same``: the target has the very same excerpt, and all else is in the library.

Every pair of partners (``scenes``) gives two queries, one from each of its recordings. A hit counts
if it is the target. ``both`` is the share of first hits that hold the event and the kind of
background, whichever clip it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation.words.figures import mean
from training.evaluation.words.items import Item
from training.evaluation.words.scenes import Partners, Scene, event_sounds
from training.evaluation.words.search import FIRST, Search
from training.evaluation.words.tables import SceneTable

LIBRARIES = ("another", "another_beside_own", "same")


def measure(
    search: Search,
    partners: Sequence[Partners],
    items: Mapping[Scene, Item],
    table: SceneTable,
) -> dict[str, Any]:
    """Search for the partner of every mixture.

    Args:
        search: The collection of the mixtures.
        partners: The mixtures.
        items: Their items.
        table: Names of the events.

    Returns:
        For each library the share of targets that are the first hit (``first``) and among the
        first five (``first_5``), ``both``, and ``random``, the share of targets among five random
        hits.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in LIBRARIES}
    for pair in partners:
        text, event = f"with {table.events[pair.label]}", event_sounds(pair.label)
        for own in (0, 1):
            query, mixture = items[pair.backgrounds[own]], items[pair.mixtures[own]]
            other = items[pair.mixtures[1 - own]]
            wanted = (pair.backgrounds[own].kind, event)
            of_own = search.collection.sharing(query.recordings)
            for name, target, left_out in (
                ("another", other, of_own),
                ("another_beside_own", other, frozenset({mixture.id})),
                ("same", mixture, frozenset[str]()),
            ):
                hits = search.first(query, text=text, left_out=left_out)
                rows[name].append(_score(hits, target, wanted))
    return {name: _figures(of_library, search) for name, of_library in rows.items()}


def _score(
    hits: Sequence[Item], target: Item, wanted: tuple[str, frozenset[str]]
) -> tuple[float, float, float]:
    kind, event = wanted
    ids = [hit.id for hit in hits]
    both = any(kind in hit.sounds and not event.isdisjoint(hit.sounds) for hit in hits[:1])
    return float(ids[:1] == [target.id]), float(target.id in ids), float(both)


def _figures(rows: Sequence[tuple[float, float, float]], search: Search) -> dict[str, Any]:
    first, first_5, both = ([row[i] for row in rows] for i in range(3))
    return {
        "first": mean(first),
        "first_5": mean(first_5),
        "both": mean(both),
        "random": round(FIRST / len(search.collection.items), 4),
    }
