"""Targets of each window: its label or caption, and the classes that the teacher hears in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from training.towers.captions.concepts import Concepts, Kind, caption_of
from training.towers.captions.windows import CaptionSet, Window
from training.words.names import label_names

LABEL_SHARE = 0.6
"""Share of a window's own label in its targets; the teacher's scores are the rest."""
LOWEST_SCORE = 0.06
"""Lowest score of the teacher that counts as a target."""
UNSURE_SCORE = 0.02
"""Lowest score of a class that may be in the window, so that it is no negative either."""
SAME_NAME = 0.72
"""Cosine of the text embeddings of two names above which they may name the same sound."""
BROAD_WEIGHT = 0.3
BROAD = frozenset(
    {
        "Animal",
        "Environmental noise",
        "Field recording",
        "Inside, large room or hall",
        "Inside, small room",
        "Music",
        "Musical instrument",
        "Noise",
        "Outside, rural or natural",
        "Outside, urban or manmade",
        "Silence",
        "Sound effect",
        "Vehicle",
    }
)
"""Classes that tell little; they weigh less in the targets."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of every window over all concepts.

    Attributes:
        weights: Weight of each concept; those of a window add up to 1, or are 0 where nothing is
            known; float32 [windows concepts].
        is_unsure: Concepts that are neither in the window nor known to be absent.
    """

    weights: Float32[np.ndarray, "windows concepts"]
    is_unsure: Bool[np.ndarray, "windows concepts"]


def find_targets(
    captions: CaptionSet, concepts: Concepts, names: Float32[np.ndarray, "concepts hidden"]
) -> Targets:
    """Weigh the concepts of every window.

    A label of names.yaml stands for its concept and for the classes that are the same sound; a
    caption stands for itself. The teacher's scores are weights of its classes and of the labels
    that are the same sound.

    Args:
        captions: The windows.
        concepts: The concepts.
        names: Text embedding of the plainest name of each concept.
    """
    columns = concepts.columns()
    own = np.zeros((len(captions.windows), len(columns)), np.float32)
    for row, window in enumerate(captions.windows):
        known = _known(window, columns)
        own[row, known] = 1 / max(len(known), 1)
    scores = np.asarray(captions.scores, np.float32)
    heard = _spread(scores * (scores > LOWEST_SCORE), captions.classes, concepts)
    has_label = own.any(axis=1, keepdims=True)
    share = np.where(has_label, LABEL_SHARE, 0.0).astype(np.float32)
    weights = _normalise(share * own + (1 - share) * _normalise(heard))
    is_unsure = (own > 0) @ _are_alike(names)
    is_unsure[:, list(concepts.classes)] |= scores > UNSURE_SCORE
    return Targets(weights, is_unsure & (weights == 0))


def find_candidates(
    concepts: Concepts, names: Float32[np.ndarray, "concepts hidden"], labels: Sequence[str]
) -> Bool[np.ndarray, "labels named"]:
    """Select the texts that a sound of each label may be told from.

    Args:
        concepts: The concepts.
        names: Text embedding of the plainest name of each concept.
        labels: Labels of scenes.

    Returns:
        For each label the labels, then the concepts, that name another sound; and the label itself.
    """
    columns = concepts.columns()
    rows = [columns["label", label] for label in labels]
    same = np.zeros((len(labels), len(columns)), bool)
    for i, label in enumerate(labels):
        keys: list[tuple[Kind, str]] = [("class", name) for name in label_names()[label].classes]
        same[i, [rows[i], *(columns[key] for key in keys if key in columns)]] = True
    broad = [columns["class", name] for name in BROAD if ("class", name) in columns]
    is_same = same @ _are_alike(names)
    is_same[:, broad] = True
    among_labels = is_same[:, rows] & ~np.eye(len(labels), dtype=bool)
    is_candidate: np.ndarray = ~np.concatenate([among_labels, is_same], axis=1)
    return is_candidate


def _are_alike(
    names: Float32[np.ndarray, "concepts hidden"],
) -> Bool[np.ndarray, "concepts concepts"]:
    """Tell which names may be of the same sound."""
    unit = names / np.linalg.norm(names, axis=1, keepdims=True)
    alike: np.ndarray = (unit @ unit.T) > SAME_NAME
    return alike


def _known(window: Window, columns: Mapping[tuple[Kind, str], int]) -> list[int]:
    """Return the columns of the concepts that a window's label stands for."""
    caption = caption_of(window.corpus, window.label)
    if caption is not None:
        column = columns.get(("caption", caption))
        return [] if column is None else [column]
    entry = label_names().get(window.label)
    if entry is None:
        return []
    same: list[tuple[Kind, str]] = [("label", window.label)]
    same += [("class", name) for name in entry.classes]
    return [columns[key] for key in same if key in columns]


def _spread(
    scores: Float32[np.ndarray, "windows classes"], classes: list[str], concepts: Concepts
) -> Float32[np.ndarray, "windows concepts"]:
    """Put scores into the columns of the classes and of the labels that are the same sound."""
    spread = np.zeros((len(scores), len(concepts.concepts)), np.float32)
    weighted = scores * np.array([BROAD_WEIGHT if c in BROAD else 1.0 for c in classes], np.float32)
    spread[:, list(concepts.classes)] = weighted
    rows = {name: i for i, name in enumerate(classes)}
    for column, concept in enumerate(concepts.concepts):
        same = label_names()[concept.key].classes if concept.kind == "label" else ()
        if found := [rows[name] for name in same if name in rows]:
            spread[:, column] = weighted[:, found].max(axis=1)
    return spread


def _normalise(
    weights: Float32[np.ndarray, "windows concepts"],
) -> Float32[np.ndarray, "windows concepts"]:
    """Scale the weights of each window to a sum of 1; zeros stay zero."""
    total = weights.sum(axis=1, keepdims=True)
    zeros = np.zeros_like(weights)
    scaled: np.ndarray = np.divide(weights, total, out=zeros, where=total > 0)
    return scaled
