"""Measurement of searches whose target has other recordings of the query's kind of background.

The queries and candidates are those of the paper's protocol, but the own target of each query is
rendered anew over other recordings (`minuend-train data scenes --other-recordings 1`). So the
candidates over the query's own recordings remain, and all of them are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float32, Int64

from service.difference import centre, l2_normalize
from training.errors import DatasetError
from training.scenes.load import SceneSet
from training.towers.evaluation.evaluate import draw_requests
from training.towers.evaluation.fulfilment import STRENGTHS
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import rank_targets, recalls

Vectors = Float32[np.ndarray, "pairs dim"]


@dataclass(frozen=True, slots=True)
class OtherRecordings:
    """A test side, and its targets over other recordings.

    Attributes:
        scenes: The test side.
        rows: Pairs whose kind of background has other recordings, int64 [rows].
        targets: Raw embeddings of their targets over those, float32 [rows inputs].
        texts: A request for the changes of every pair of the test side.
    """

    scenes: SceneSet
    rows: Int64[np.ndarray, " rows"]
    targets: Float32[np.ndarray, "rows inputs"]
    texts: list[str]

    @classmethod
    def of(cls, scenes: SceneSet, other: SceneSet) -> Self:
        """Match a test side with its pairs over other recordings.

        Raises:
            DatasetError: The pairs differ in more than the backgrounds of their targets, or none
                has other recordings.
        """
        before, after = scenes.pairs, other.pairs
        is_same = len(before) == len(after) and all(
            (a.query, a.changes) == (b.query, b.changes) for a, b in zip(before, after, strict=True)
        )
        rows = np.flatnonzero([pair.target_backgrounds is not None for pair in after])
        if not is_same or not rows.size:
            raise DatasetError(
                "the scenes over other recordings are not those of the test side: make them by the "
                "same command with --other-recordings 1"
            )
        targets = np.asarray(other.target, np.float32)[rows]
        return cls(scenes, rows, targets, draw_requests(before))

    def rank(self, queries: Vectors, items: Vectors, own: Vectors) -> Int64[np.ndarray, " rows"]:
        """Rank the own target of each row over other recordings among all other pairs' targets.

        Args:
            queries: Unit vectors of the queries of all pairs.
            items: Unit vectors of the targets of all pairs.
            own: Unit vectors of the targets over other recordings, in the order of `rows`.
        """
        scores = queries[self.rows] @ items.T
        scores[np.arange(len(self.rows)), self.rows] = -np.inf
        own_scores = (queries[self.rows] * own).sum(axis=1)
        ranks: np.ndarray = 1 + (scores > own_scores[:, None]).sum(axis=1)
        return ranks


def measure_other_recordings(test: OtherRecordings, projector: TowerProjector) -> dict[str, Any]:
    """Measure towers with targets over other recordings, and over the same, for the same pairs.

    Returns:
        ``pairs``: their number; ``systems``: recall with other recordings, by the terms of the
        query; ``same``: likewise with the same recordings; ``strength``: recall of both by the
        strength of the text.
    """
    audio = projector.project_audio(test.scenes.query)
    text = projector.project_texts(test.texts)
    items = l2_normalize(projector.project_audio(test.scenes.target))
    own = l2_normalize(projector.project_audio(test.targets))
    systems = {"audio_and_text": audio + text, "audio_alone": audio, "text_alone": text}
    strengths = {f"{s:g}": audio + np.float32(s) * text for s in STRENGTHS}
    return {
        "pairs": len(test.rows),
        "systems": _recall(test, systems, items, own),
        "same": _recall(test, systems, items, None),
        "strength": {
            "other": _recall(test, strengths, items, own),
            "same": _recall(test, strengths, items, None),
        },
    }


def measure_embeddings(
    test: OtherRecordings, mean: Float32[np.ndarray, " inputs"]
) -> dict[str, float]:
    """Measure the recall of the queries' embeddings as they are, relative to the mean."""
    query = centre(np.asarray(test.scenes.query, np.float32), mean)
    items = centre(np.asarray(test.scenes.target, np.float32), mean)
    return recalls(test.rank(query, items, centre(test.targets, mean)))


def _recall(
    test: OtherRecordings, queries: Mapping[str, Vectors], items: Vectors, own: Vectors | None
) -> dict[str, dict[str, float]]:
    """Return the recall of each query, for own targets over the same recordings if None."""
    found = {}
    for name, query in queries.items():
        unit = l2_normalize(query)
        ranks = rank_targets(unit, items)[test.rows] if own is None else test.rank(unit, items, own)
        found[name] = recalls(ranks)
    return found
