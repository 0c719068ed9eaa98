"""Weights of the sounds of a request in a query, fitted on pairs of clips that differ by a change.

Each weight is the one of a grid with the best score, the mean of two shares: of the targets among
the first ten hits, and of the first ten hits that fulfil the change. The first alone would ignore
hits with the unwanted sound; the second alone would push a removal to whatever is farthest away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.bundle.understanding import CompositionWeights
from service.difference import l2_normalize
from service.inference.understanding import Change
from training.errors import DatasetError
from training.scenes.changes import CHANGE_KINDS
from training.scenes.load import SceneSet
from training.towers.evaluation.evaluate import draw_requests
from training.towers.evaluation.fulfilment import FIRST, tabulate_fulfilment
from training.towers.evaluation.projector import TowerProjector
from training.words.names import list_names

SIZES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
SENTENCES = (0.0, 0.25, 0.5, 1.0)
ROUNDS = 2
N_PAIRS = 1_000  # the most that are used
AWAY: frozenset[Change] = frozenset({"remove", "quieter", "less", "instead_of"})
"""Changes whose weight is negative."""
_CHANGES: tuple[Change, ...] = (*CHANGE_KINDS, "instead_of", "only")


@dataclass(frozen=True, slots=True)
class FittedComposition:
    """Fitted weights and their scores.

    Attributes:
        weights: The weights.
        scores: For each change, the number of its queries and the mean score without the text
            (``audio``), with the vector of the whole text (``sentence``), and with the weights
            (``sounds``).
    """

    weights: CompositionWeights
    scores: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class CompositionTask:
    """Queries whose best weights are looked for.

    Attributes:
        audio: Vectors of the sounds of the queries, float32 [queries dim].
        sentences: Vectors of the whole texts, float32 [queries dim].
        sounds: Unit vector of the sound of each change; a row of zeros for a change that a query
            does not ask for; float32 [changes queries dim].
        changes: The changes, in the order of `sounds`.
        items: Unit vectors of the clips, float32 [items dim].
        targets: Row of the wanted clip of each query; -1 where any that fulfils is as good.
        fulfils: Which clips fulfil each query, bool [queries items].
    """

    audio: Float32[np.ndarray, "queries dim"]
    sentences: Float32[np.ndarray, "queries dim"]
    sounds: Float32[np.ndarray, "changes queries dim"]
    changes: tuple[Change, ...]
    items: Float32[np.ndarray, "items dim"]
    targets: Int64[np.ndarray, " queries"]
    fulfils: Bool[np.ndarray, "queries items"]

    @property
    def all_rows(self) -> Int64[np.ndarray, " queries"]:
        """The rows of all queries."""
        return np.arange(len(self.audio))

    def rows_of(self, change: Change) -> Int64[np.ndarray, " rows"]:
        """Return the queries that ask for a change."""
        return np.flatnonzero(self.sounds[self.changes.index(change)].any(axis=1))

    def scores(
        self, weights: CompositionWeights, rows: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, " rows"]:
        """Return the score of some queries, 0 to 1."""
        sizes = np.array([getattr(weights, change) for change in self.changes], np.float32)
        text = np.float32(weights.sentence) * self.sentences[rows]
        text = text + np.einsum("c,crd->rd", sizes, self.sounds[:, rows])
        return self.score_texts(text, rows)

    def score_texts(
        self, text: Float32[np.ndarray, "rows dim"], rows: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, " rows"]:
        """Return the score of some queries with these vectors of their texts."""
        similar = l2_normalize(self.audio[rows] + text) @ self.items.T
        first = np.argpartition(-similar, FIRST - 1, axis=1)[:, :FIRST]
        fulfilled = np.take_along_axis(self.fulfils[rows], first, axis=1).mean(axis=1)
        found = (first == self.targets[rows, None]).any(axis=1)
        score: np.ndarray = np.where(self.targets[rows] < 0, fulfilled, (found + fulfilled) / 2)
        return score.astype(np.float32)


def fit_composition(scenes: SceneSet, projector: TowerProjector) -> FittedComposition:
    """Fit the weights of the changes that pairs can show; the other ones keep their defaults.

    Args:
        scenes: Pairs of a training side.
        projector: The towers.

    Raises:
        DatasetError: No pair asks for a change.
    """
    requests, only = make_tasks(scenes, projector)
    weights = max(
        (_ascend(requests, CompositionWeights(sentence=size)) for size in SENTENCES),
        key=lambda found: float(requests.scores(found, requests.all_rows).mean()),
    )
    weights = _ascend(only, weights)
    scores: dict[str, dict[str, float]] = {}
    for task in (requests, only):
        for change in task.changes:
            rows = task.rows_of(change)
            if rows.size:
                scores[change] = _compare(task, weights, rows)
    return FittedComposition(weights, scores)


def make_tasks(
    scenes: SceneSet, projector: TowerProjector
) -> tuple[CompositionTask, CompositionTask]:
    """Make the queries of scenes: one set for all changes of pairs, and one for "only".

    A pair that removes one sound and adds another is a query twice: as these two changes, and as
    the one instead of the other. A clip with an event is a query for only this event; there every
    clean recording of its class is as good.

    Raises:
        DatasetError: No pair asks for a change.
    """
    pairs = scenes.pairs[:N_PAIRS]
    asked: list[dict[Change, str]] = [{c.kind: c.label for c in pair.changes} for pair in pairs]
    rows = list(range(len(pairs)))
    for row, changes in enumerate(asked[:]):
        if changes.keys() == {"add", "remove"}:
            asked.append({"add": changes["add"], "instead_of": changes["remove"]})
            rows.append(row)
    if not rows:
        raise DatasetError("the scenes hold no pairs")
    audio = projector.project_audio(scenes.query[:N_PAIRS])
    targets = l2_normalize(projector.project_audio(scenes.target[:N_PAIRS]))
    events = l2_normalize(projector.project_audio(scenes.events))
    requests = CompositionTask(
        audio=audio[rows],
        sentences=projector.project_texts(draw_requests(pairs))[rows],
        sounds=_sounds(asked, projector),
        changes=_CHANGES,
        items=targets,
        targets=np.array(rows),
        fulfils=tabulate_fulfilment(pairs)[rows],
    )
    labels = np.array([row.label for row in scenes.event_rows])
    heard = [
        (row, item.label)
        for row, pair in enumerate(pairs)
        for item in pair.query.items
        if item.role == "event" and item.label in labels
    ]
    wanted = [label for _, label in heard]
    only = CompositionTask(
        audio=audio[[row for row, _ in heard]],
        sentences=projector.project_texts([f"only the {list_names(label)[0]}" for label in wanted]),
        sounds=_sounds([{"only": label} for label in wanted], projector),
        changes=_CHANGES,
        items=np.concatenate([targets, events]),
        targets=np.full(len(heard), -1),
        fulfils=np.concatenate(
            [
                np.zeros((len(heard), len(targets)), bool),
                labels[None] == np.array(wanted, labels.dtype)[:, None],
            ],
            axis=1,
        ),
    )
    return requests, only


def _sounds(
    asked: Sequence[dict[Change, str]], projector: TowerProjector
) -> Float32[np.ndarray, "changes queries dim"]:
    """Return the unit vector of the sound of each change, by the plainest name of its label."""
    labels = sorted({label for changes in asked for label in changes.values()})
    names = [list_names(label)[0] for label in labels]
    vectors = dict(zip(labels, l2_normalize(projector.project_texts(names)), strict=True))
    dim = len(next(iter(vectors.values())))
    sounds = np.zeros((len(_CHANGES), len(asked), dim), np.float32)
    for row, changes in enumerate(asked):
        for change, label in changes.items():
            sounds[_CHANGES.index(change), row] = vectors[label]
    return sounds


def _ascend(task: CompositionTask, weights: CompositionWeights) -> CompositionWeights:
    """Choose the best size of one weight after the other, for two rounds."""
    for _ in range(ROUNDS):
        for change in task.changes:
            rows = task.rows_of(change)
            if not rows.size:
                continue
            sign = -1.0 if change in AWAY else 1.0
            tried = [weights.model_copy(update={change: sign * size}) for size in SIZES]
            means = [float(task.scores(each, rows).mean()) for each in tried]
            weights = tried[int(np.argmax(means))]
    return weights


def _compare(
    task: CompositionTask, weights: CompositionWeights, rows: Int64[np.ndarray, " rows"]
) -> dict[str, float]:
    scores = {
        "audio": task.score_texts(np.zeros_like(task.sentences[rows]), rows),
        "sentence": task.score_texts(task.sentences[rows], rows),
        "sounds": task.scores(weights, rows),
    }
    means = {name: round(float(values.mean()), 4) for name, values in scores.items()}
    return {"queries": float(rows.size)} | means
