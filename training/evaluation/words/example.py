"""Protocol `example`: search like a clip, with its own recording left out.

The queries are clips of the corpora with classes (``CORPORA``): of each class up to ``QUERIES``, in
the order of the hashes of their ids. Clips that share a recording with the query count as not being
in the library. A hit is right if it has the same corpus and label, or its label names a sound that
the query's label names (``sounds.yaml``). A query counts if at least five clips of other recordings
are right. ``all`` searches the whole collection; ``esc50_alone`` searches only the clips of ESC-50,
which is easier: the clips are fewer, and none is of an unlike corpus. The recordings of
`noise_of_life` are not known, so its clips may find others of their recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from training.evaluation.words.figures import mean
from training.evaluation.words.items import Item
from training.evaluation.words.search import FIRST, Search

CORPORA = (
    "esc50",
    "noise_of_life",
    "speech_commands_9",
    "gm_notes",
    "instruments_cc0",
    "ambience",
    "traffic",
)
QUERIES = 8
ALONE = "esc50"


def measure(search: Search) -> dict[str, Any]:
    """Search like every query.

    Returns:
        For ``all``, for each corpus of the queries and for ``esc50_alone``: the share of first hits
        that are right (``first``), the mean share of right ones among the first five
        (``precision_at_5``), and that of random hits (``random``).
    """
    queries = draw_queries(search.collection.items)
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for query in queries:
        if row := _measure_query(search, query, None):
            rows["all"].append(row)
            rows[query.kind[0]].append(row)
        if query.kind[0] == ALONE and (row := _measure_query(search, query, ALONE)):
            rows[f"{ALONE}_alone"].append(row)
    return {name: _figures(of_name) for name, of_name in rows.items()}


def draw_queries(items: Iterable[Item]) -> list[Item]:
    """Choose up to `QUERIES` clips of each class; the choice does not depend on other classes."""
    classes: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.kind[0] in CORPORA:
            classes[item.kind].append(item)
    return [
        item
        for kind in sorted(classes)
        for item in sorted(classes[kind], key=lambda item: item.id)[:QUERIES]
    ]


def is_alike(query: Item, item: Item) -> bool:
    """Tell whether a hit is right for a query."""
    return item.kind == query.kind or not query.sounds.isdisjoint(item.sounds)


def _measure_query(
    search: Search, query: Item, corpus: str | None
) -> tuple[float, float, float] | None:
    """Return first, precision and that of random hits; None if too few clips are right."""
    own = search.collection.others(query)
    candidates = [
        item
        for item in search.collection.items
        if item.id not in own and corpus in (None, item.kind[0])
    ]
    n_right = sum(is_alike(query, item) for item in candidates)
    if n_right < FIRST:
        return None
    where = None if corpus is None else {"corpus": corpus}
    hits = search.first(query, left_out=own, where=where)
    right = [is_alike(query, hit) for hit in hits]
    return float(right[0]), sum(right) / FIRST, n_right / len(candidates)


def _figures(rows: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    first, precision, random = ([row[i] for row in rows] for i in range(3))
    return {
        "first": mean(first),
        "precision_at_5": mean(precision),
        "random": mean(random)["value"],
    }
