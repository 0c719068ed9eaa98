"""The labelled corpora of a manifest, as tasks of linear evaluation."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from training.data.attribution import corpus_of
from training.data.manifest import SourceClip
from training.data.splits import hash_recording, sources
from training.datasets.metadata import SPLITS, TaskClip

FOLDS = 5  # drawn for a corpus that has neither folds nor splits
FEWEST_RECORDINGS = FOLDS  # of a class whose clips are drawn into folds
FEWEST_CLIPS = 100  # of such a corpus; fewer make intervals wider than ten points
LONGEST_UNIT_S = 10.0
FOLD, SPLIT, DRAWN = "fold", "split", "drawn"
TRAINING_FOLDS: Mapping[str, frozenset[int]] = {"esc50": frozenset({1, 2, 3})}
"""Corpora that are also evaluated once, trained on these folds and tested on the others."""
WITHOUT_CLASSES = frozenset({"sfx_pool", "music_pool"})
"""Corpora whose labels are names of folders, not of kinds of sound."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The clips of one corpus that can be classified.

    Attributes:
        name: Of the corpus.
        clips: Clips with a class, and a fold or a split.
        recordings: Recording of each clip.
        unit_s: Length of every embedded clip [s].
        sides: Origin of folds or splits: ``fold`` and ``split`` are columns of the manifest,
            ``drawn`` are five folds of whole recordings.
    """

    name: str
    clips: list[TaskClip]
    recordings: list[str]
    unit_s: float
    sides: str


def find_corpora(clips: Sequence[SourceClip]) -> tuple[list[Corpus], dict[str, str]]:
    """List the corpora of a manifest that a linear classifier can be trained and tested on.

    Folds or splits of the manifest are used where every clip of a corpus has one. For any other
    corpus, recordings are drawn into five folds; only classes of at least five recordings count,
    and there must be two such classes with at least 100 clips.

    Returns:
        The corpora, by name; and of each other corpus the reason why it is left out.
    """
    by_name = defaultdict(list)
    for clip in clips:
        by_name[corpus_of(clip)].append(clip)
    corpora, left_out = [], {}
    for name, members in sorted(by_name.items()):
        found = _find_corpus(name, members)
        if isinstance(found, str):
            left_out[name] = found
        else:
            corpora.append(found)
    return corpora, left_out


def _find_corpus(name: str, clips: list[SourceClip]) -> Corpus | str:
    if name in WITHOUT_CLASSES:
        return "its labels are names of folders, not of kinds of sound"
    if not all(clip.columns.get("label") for clip in clips):
        return "not every clip has a label"
    if all((clip.columns.get("fold") or "").isdigit() for clip in clips):
        folds = {clip.name: int(clip.columns["fold"]) for clip in clips}
        enough = len(set(folds.values())) > 1
        return _corpus(name, clips, FOLD, folds=folds) if enough else "it has a single fold"
    if all(clip.columns.get("split") in SPLITS for clip in clips):
        splits = {clip.name: clip.columns["split"] for clip in clips}
        enough = {"train", "test"} <= set(splits.values())
        return _corpus(name, clips, SPLIT, splits=splits) if enough else "a split is missing"
    return _draw_corpus(name, clips)


def _draw_corpus(name: str, clips: list[SourceClip]) -> Corpus | str:
    """Keep the classes of enough recordings, and draw folds."""
    recordings: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        recordings[clip.columns["label"]].add(clip.recording)
    classes = {label for label, of_it in recordings.items() if len(of_it) >= FEWEST_RECORDINGS}
    kept = [clip for clip in clips if clip.columns["label"] in classes]
    if len(classes) < 2 or len(kept) < FEWEST_CLIPS:
        return (
            f"{len(classes)} of {len(recordings)} classes have at least {FEWEST_RECORDINGS} "
            f"recordings, {len(kept)} clips; two classes and {FEWEST_CLIPS} clips are needed"
        )
    folds = draw_folds({label: recordings[label] for label in classes})
    return _corpus(name, kept, DRAWN, folds={clip.name: folds[clip.recording] for clip in kept})


def draw_folds(recordings: Mapping[str, set[str]]) -> dict[str, int]:
    """Draw the recordings of every class into folds 1 to 5.

    The recordings of a class, sorted by hash, are dealt to the folds in turn, so that each class
    is in each fold. A recording of several classes keeps its first fold.
    """
    folds: dict[str, int] = {}
    for label in sorted(recordings):
        undrawn = sorted(recordings[label] - folds.keys(), key=hash_recording)
        sizes = Counter(folds[name] for name in recordings[label] if name in folds)
        for name in undrawn:
            fold = min(range(1, FOLDS + 1), key=lambda number: (sizes[number], number))
            folds[name] = fold
            sizes[fold] += 1
    return folds


def _corpus(
    name: str,
    clips: list[SourceClip],
    sides: str,
    *,
    folds: Mapping[str, int] | None = None,
    splits: Mapping[str, str] | None = None,
) -> Corpus:
    tasks = [
        TaskClip(
            clip.path,
            clip.columns["label"],
            split=splits[clip.name] if splits else "",
            fold=folds[clip.name] if folds else None,
            sources=sources(clip) | {clip.name},
        )
        for clip in clips
    ]
    return Corpus(name, tasks, [clip.recording for clip in clips], _unit_s(clips), sides)


def _unit_s(clips: Sequence[SourceClip]) -> float:
    """Return the median duration, rounded up to half a second, at most 10 s."""
    durations = [float(clip.columns.get("seconds") or LONGEST_UNIT_S) for clip in clips]
    return min(max(math.ceil(2 * median(durations)) / 2, 0.5), LONGEST_UNIT_S)
