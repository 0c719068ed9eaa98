"""Queries on which the weights of the sounds of a request are fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.bundle.understanding import CompositionWeights
from service.difference import l2_normalize
from service.inference.understanding import Change
from training.scenes.changes import CHANGE_KINDS
from training.scenes.load import SceneSet
from training.scenes.pair import Clip, Pair
from training.towers.evaluation.fulfilment import FIRST, fulfils, level_db
from training.towers.evaluation.projector import TowerProjector
from training.words.names import list_names
from training.words.requests import ask_for

CHANGES: tuple[Change, ...] = (*CHANGE_KINDS, "instead_of", "only")
LEVELS = frozenset({"louder", "quieter", "more", "less"})
N_PAIRS = 1_000  # the most that are used
SEED = 0


@dataclass(frozen=True, slots=True)
class CompositionTask:
    """Queries whose best weights are looked for.

    Attributes:
        audio: Vectors of the sounds of the queries, float32 [queries dim].
        sentences: Vectors of the whole texts, float32 [queries dim].
        sounds: Unit vector of the sound of each change; a row of zeros for a change that a query
            does not ask for; float32 [changes queries dim].
        items: Unit vectors of the clips, float32 [items dim].
        targets: Row of the wanted clip of each query; -1 where any that fulfils is as good.
        fulfils: Which clips fulfil each query, at least one; bool [queries items].
    """

    audio: Float32[np.ndarray, "queries dim"]
    sentences: Float32[np.ndarray, "queries dim"]
    sounds: Float32[np.ndarray, "changes queries dim"]
    items: Float32[np.ndarray, "items dim"]
    targets: Int64[np.ndarray, " queries"]
    fulfils: Bool[np.ndarray, "queries items"]

    def rows_of(self, change: Change) -> Int64[np.ndarray, " rows"]:
        """Return the queries that ask for a change."""
        return np.flatnonzero(self.sounds[CHANGES.index(change)].any(axis=1))

    def scores(
        self, weights: CompositionWeights, rows: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, " rows"]:
        """Return the score of some queries, 0 to 1."""
        sizes = np.array([getattr(weights, change) for change in CHANGES], np.float32)
        text = np.float32(weights.sentence) * self.sentences[rows]
        text = text + np.einsum("c,crd->rd", sizes, self.sounds[:, rows])
        return self.score_texts(text, rows)

    def score_texts(
        self, text: Float32[np.ndarray, "rows dim"], rows: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, " rows"]:
        """Return the score of some queries with these vectors of their texts.

        The score is the share of the first ten hits that fulfil the query, of those that can; with
        a target, the mean of this share and of whether the target is among the ten.
        """
        similar = l2_normalize(self.audio[rows] + text) @ self.items.T
        first = np.argpartition(-similar, FIRST - 1, axis=1)[:, :FIRST]
        possible = np.minimum(self.fulfils[rows].sum(axis=1), FIRST)
        fulfilled = np.take_along_axis(self.fulfils[rows], first, axis=1).sum(axis=1) / possible
        found = (first == self.targets[rows, None]).any(axis=1)
        score: np.ndarray = np.where(self.targets[rows] < 0, fulfilled, (found + fulfilled) / 2)
        return score.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request about one clip: the changes, and the labels that a wanted clip has and lacks."""

    row: int
    changes: dict[Change, str]
    text: str
    present: frozenset[str]
    absent: frozenset[str]
    alone: bool = False

    def fulfilled_by(self, labels: frozenset[str]) -> bool:
        """Tell whether a clip with these labels is wanted."""
        if self.alone:
            return labels == self.present
        return self.present <= labels and not self.absent & labels


def make_level_task(scenes: SceneSet, projector: TowerProjector) -> CompositionTask:
    """Make the queries about levels: the pairs whose sounds become louder, quieter, more or less.

    Only a rendered pair knows levels. Its target has the same recordings as its query. A clip
    without a sound that shall be quieter or less fulfils the query, too.
    """
    rows = [
        row
        for row, pair in enumerate(scenes.pairs[:N_PAIRS])
        if {change.kind for change in pair.changes} <= LEVELS
    ]
    pairs = [scenes.pairs[row] for row in rows]
    asked: list[dict[Change, str]] = [{c.kind: c.label for c in pair.changes} for pair in pairs]
    rng = np.random.default_rng(SEED)
    texts = [ask_for({c: _name(label) for c, label in one.items()}, rng) for one in asked]
    return CompositionTask(
        audio=projector.project_audio(scenes.query[rows]),
        sentences=projector.project_texts(texts),
        sounds=_sounds(asked, projector),
        items=l2_normalize(projector.project_audio(scenes.target[rows])),
        targets=np.arange(len(rows)),
        fulfils=np.array([[_is_fulfilled(pair, hit.target) for hit in pairs] for pair in pairs]),
    )


def make_kind_task(scenes: SceneSet, projector: TowerProjector) -> CompositionTask:
    """Make the queries about kinds of sound: add, remove, instead of, only, quieter, less.

    Any clip with the wanted sounds, and without the unwanted one, fulfils a query, whatever its
    recordings are. Clips are the targets of the pairs and the clean events. A sound that shall be
    quieter or less is unwanted here, as a user means it who has no clip with less of it; the pairs
    of the other task have such clips.
    """
    pairs = scenes.pairs[:N_PAIRS]
    labels = [frozenset(pair.target.labels) for pair in pairs]
    labels += [frozenset([row.label]) for row in scenes.event_rows]
    asked = [one for one in _ask(scenes, labels) if any(map(one.fulfilled_by, labels))]
    items = np.concatenate([scenes.target[: len(pairs)], scenes.events])
    rows = [one.row for one in asked]
    return CompositionTask(
        audio=projector.project_audio(scenes.query[rows]),
        sentences=projector.project_texts([one.text for one in asked]),
        sounds=_sounds([one.changes for one in asked], projector),
        items=l2_normalize(projector.project_audio(items)),
        targets=np.full(len(asked), -1),
        fulfils=np.array([[one.fulfilled_by(each) for each in labels] for one in asked]),
    )


def _ask(scenes: SceneSet, clips: Sequence[frozenset[str]]) -> Iterator[_Asked]:
    """Ask for each change of each query clip: its sounds, and sounds heard with its background."""
    rng = np.random.default_rng(SEED)
    for row, pair in enumerate(scenes.pairs[:N_PAIRS]):
        heard = frozenset(pair.query.labels)
        events = sorted({item.label for item in pair.query.items if item.role == "event"})
        rest = heard - set(events)
        others = sorted({x for clip in clips if rest <= clip for x in clip} - heard)
        for label in sorted(heard):
            for change in ("remove", "quieter" if label in events else "less"):
                yield _ask_one(row, {change: label}, heard - {label}, [label], rng)
        for label in events:
            asked = _ask_one(row, {"only": label}, frozenset([label]), [], rng)
            yield replace(asked, alone=True)
        if others:
            new = others[int(rng.integers(len(others)))]
            yield _ask_one(row, {"add": new}, rest | {new}, [], rng)
            for old in events:
                yield _ask_one(row, {"add": new, "instead_of": old}, rest | {new}, [old], rng)


def _ask_one(
    row: int,
    changes: dict[Change, str],
    present: frozenset[str],
    absent: Sequence[str],
    rng: np.random.Generator,
) -> _Asked:
    text = ask_for({change: _name(label) for change, label in changes.items()}, rng)
    return _Asked(row, changes, text, present, frozenset(absent))


def _is_fulfilled(pair: Pair, hit: Clip) -> bool:
    return all(
        fulfils(change, pair.query, hit)
        or (change.kind in {"quieter", "less"} and level_db(hit, change.label) is None)
        for change in pair.changes
    )


def _name(label: str) -> str:
    return list_names(label)[0]


def _sounds(
    asked: Sequence[dict[Change, str]], projector: TowerProjector
) -> Float32[np.ndarray, "changes queries dim"]:
    """Return the unit vector of the sound of each change, by the plainest name of its label."""
    labels = sorted({label for changes in asked for label in changes.values()})
    names = projector.project_texts([_name(label) for label in labels])
    vectors = dict(zip(labels, l2_normalize(names), strict=True))
    sounds = np.zeros((len(CHANGES), len(asked), names.shape[1]), np.float32)
    for row, changes in enumerate(asked):
        for change, label in changes.items():
            sounds[CHANGES.index(change), row] = vectors[label]
    return sounds
