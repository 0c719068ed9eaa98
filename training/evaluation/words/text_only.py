"""Protocol `text_only`: search by a text alone.

The requests of ``requests.yaml`` are searched among all unseen clips of all corpora whose label
says what is heard; so are, apart from them, the plain names of ``texts.yaml``, which towers may
be trained on. A hit is right if its label names one of the sounds of the request
(``sounds.yaml``). A request counts if at least ``FEWEST_CLIPS`` clips of ``FEWEST_RECORDINGS``
recordings are right, so that five right hits are possible. Figures: the share of requests whose
first hit is right, and the mean share of right hits among the first five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.evaluation.words.figures import mean
from training.evaluation.words.items import Collection
from training.evaluation.words.search import FIRST, Search, is_first_right, n_holding
from training.evaluation.words.tables import Request

FEWEST_CLIPS = 5
FEWEST_RECORDINGS = 3


def measure(search: Search, requests: Sequence[Request]) -> dict[str, Any]:
    """Search for each request that counts.

    Returns:
        ``first`` and ``precision_at_5`` with intervals, those of random hits, and the right hits
        of each request.
    """
    asked = countable(search.collection, requests)
    firsts, precisions, rows = [], [], []
    for request in asked:
        hits = search.first(text=request.text)
        n_right = n_holding(hits, request.sounds)
        firsts.append(is_first_right(hits, request.sounds))
        precisions.append(n_right / FIRST)
        n_clips, _ = count_right(search.collection, request)
        rows.append({"text": request.text, "right_of_5": n_right, "right_clips": n_clips})
    random = mean([search.collection.share(request.sounds) for request in asked])
    return {
        "first": mean(firsts),
        "precision_at_5": mean(precisions),
        "random": random["value"],
        "left_out": len(requests) - len(asked),
        "requests": rows,
    }


def countable(collection: Collection, requests: Sequence[Request]) -> list[Request]:
    """Select the requests for which enough clips are right."""
    chosen = []
    for request in requests:
        n_clips, n_recordings = count_right(collection, request)
        if n_clips >= FEWEST_CLIPS and n_recordings >= FEWEST_RECORDINGS:
            chosen.append(request)
    return chosen


def count_right(collection: Collection, request: Request) -> tuple[int, int]:
    """Count the clips that are right for a request, and their recordings."""
    wanted = frozenset(request.sounds)
    right = [item for item in collection.items if not wanted.isdisjoint(item.sounds)]
    return len(right), len({min(item.recordings) for item in right})
