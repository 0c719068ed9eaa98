"""Weights of the sounds of a request in a query, fitted on pairs of clips of a training side.

Each weight is the one of a grid with the best score, see `CompositionTask.score_texts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from service.bundle.understanding import CompositionWeights
from service.inference.understanding import Change
from training.errors import DatasetError
from training.scenes.load import SceneSet
from training.towers.composition_tasks import (
    CHANGES,
    CompositionTask,
    make_kind_task,
    make_level_task,
)
from training.towers.evaluation.fulfilment import FIRST
from training.towers.evaluation.projector import TowerProjector

SIZES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
SENTENCES = (0.0, 0.25, 0.5, 1.0)
ROUNDS = 2
WORTH = 0.01
"""Least gain of the score that gives the vector of the whole text, which has no sign, a weight."""
AWAY: frozenset[Change] = frozenset({"remove", "quieter", "less", "instead_of"})
"""Changes whose weight is negative."""


Tasks = tuple[CompositionTask, CompositionTask]
"""The queries about levels, and those about kinds of sound."""


@dataclass(frozen=True, slots=True)
class FittedComposition:
    """Fitted weights and their scores.

    Attributes:
        weights: The weights.
        scores: For each change in each of the two tasks, the number of its queries and the mean
            score without the text (``audio``), with the vector of the whole text (``sentence``),
            and with the weights (``sounds``).
    """

    weights: CompositionWeights
    scores: dict[str, dict[str, float]]


def fit_composition(scenes: SceneSet, projector: TowerProjector) -> FittedComposition:
    """Fit the weights of all changes that scenes can show; the other ones keep their defaults.

    Args:
        scenes: Pairs of a training side.
        projector: The towers.

    Raises:
        DatasetError: There are fewer than ten pairs about levels.
    """
    tasks = make_level_task(scenes, projector), make_kind_task(scenes, projector)
    if len(tasks[0].items) < FIRST:
        raise DatasetError(f"{len(tasks[0].items)} pairs about levels are too few")
    fitted = [ascend(tasks, CompositionWeights(sentence=size)) for size in SENTENCES]
    means = np.array([np.mean(_means(tasks, each)) for each in fitted])
    weights = fitted[int(np.argmax(means >= means.max() - WORTH))]
    return FittedComposition(weights, compare(tasks, weights))


def ascend(tasks: Tasks, weights: CompositionWeights) -> CompositionWeights:
    """Choose the best size of one weight after the other, for two rounds."""
    for _ in range(ROUNDS):
        for change in CHANGES:
            sign = -1.0 if change in AWAY else 1.0
            tried = [weights.model_copy(update={change: sign * size}) for size in SIZES]
            means = [_means(tasks, each, change) for each in tried]
            if means[0]:
                weights = tried[int(np.argmax([np.mean(each) for each in means]))]
    return weights


def compare(tasks: Tasks, weights: CompositionWeights) -> dict[str, dict[str, float]]:
    """Compare the weights with the vector of the whole text, and with no text, for each change."""
    scores: dict[str, dict[str, float]] = {}
    for name, task in zip(("levels", "kinds"), tasks, strict=True):
        for change in CHANGES:
            rows = task.rows_of(change)
            if rows.size:
                found = {"queries": float(rows.size)} | _compare(task, weights, rows)
                scores[f"{change} ({name})"] = found
    return scores


def _means(tasks: Tasks, weights: CompositionWeights, only: Change | None = None) -> list[float]:
    """Return the mean score of each change, or of one, on each task that has it."""
    return [
        float(task.scores(weights, rows).mean())
        for task in tasks
        for change in CHANGES
        if only in (None, change) and (rows := task.rows_of(change)).size
    ]


def _compare(
    task: CompositionTask, weights: CompositionWeights, rows: Int64[np.ndarray, " rows"]
) -> dict[str, float]:
    scores = {
        "audio": task.score_texts(np.zeros_like(task.sentences[rows]), rows),
        "sentence": task.score_texts(task.sentences[rows], rows),
        "sounds": task.scores(weights, rows),
    }
    return {name: round(float(values.mean()), 4) for name, values in scores.items()}
