"""Linear evaluation on a task of labelled clips (paper, section 5.4).

The details are in docs/method.md, "Procedure of linear evaluation".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from tqdm import tqdm

from training.datasets.metadata import TaskClip
from training.errors import DatasetError
from training.evaluation.embeddings import (
    embed_cached,
    fit_length,
    hash_files,
    hash_parts,
    read_sound,
)
from training.evaluation.encoders import Embedder
from training.evaluation.interval import summarise
from training.evaluation.overlap import count_overlap
from training.evaluation.probe import ProbeSettings, run_probe
from training.evaluation.row_splits import RowSplits, stratified_splits
from training.model.frontend import SAMPLE_RATE

STATISTICS_CLIPS = 5_000  # the most that statistics of a data set are measured on
CROP_SEED = 42


@dataclass(frozen=True, slots=True)
class LinearTask:
    """The clips of a task and the length that is embedded.

    Attributes:
        clips: In the order of the metadata.
        unit_s: Length of every embedded clip [s].
        train_folds: Folds for training, in one round; all others are for testing. None is
            cross-validation: every fold is the test fold once. Ignored by a task with splits.
    """

    clips: Sequence[TaskClip]
    unit_s: float
    train_folds: frozenset[int] | None = None

    @property
    def labels(self) -> Int64[np.ndarray, " clips"]:
        """The class of every clip, as a number from 0."""
        numbered: np.ndarray = np.unique([c.label for c in self.clips], return_inverse=True)[1]
        return numbered

    def rounds(self) -> list[tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]]:
        """List the rows for training and those for testing, in one round or one for each fold.

        Raises:
            DatasetError: There are no rows for training, or none for testing.
        """
        if self.clips[0].fold is None:
            splits = np.array([clip.split for clip in self.clips])
            return [(np.flatnonzero(splits != "test"), np.flatnonzero(splits == "test"))]
        folds = np.array([clip.fold for clip in self.clips])
        if self.train_folds is None:
            names = np.unique(folds)
            return [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in names]
        trained = np.isin(folds, sorted(self.train_folds))
        if trained.all() or not trained.any():
            raise DatasetError(
                f"the folds {sorted(self.train_folds)} of {sorted(set(folds.tolist()))} leave "
                f"nothing to train or nothing to test on"
            )
        return [(np.flatnonzero(trained), np.flatnonzero(~trained))]

    def splits(self, seed: int) -> Iterator[RowSplits]:
        """Split every round; the validation rows are those of the task, or are drawn."""
        valid = np.array([clip.split == "valid" for clip in self.clips])
        for train, test in self.rounds():
            if valid.any():
                yield RowSplits(train[~valid[train]], train[valid[train]], test)
            else:
                yield stratified_splits(train, test, self.labels, seed)

    def load(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read one clip, and cut it or pad it with zeros to the length of the task.

        A longer clip is cut at a random place if it is for training or validation, and at its
        start if it is for testing or the task has folds. The place is fixed for each clip.
        """
        clip, samples = self.clips[i], round(self.unit_s * SAMPLE_RATE)
        sound = read_sound(clip.path)
        start = 0
        if clip.split in ("train", "valid"):
            random = np.random.default_rng([CROP_SEED, i])
            start = int(random.integers(max(sound.size - samples, 0) + 1))
        return fit_length(sound, samples, start)

    def identity(self) -> str:
        """Hash everything that the embedded sounds depend on: files, splits and length."""
        splits = [clip.split for clip in self.clips]
        files = hash_files([clip.path for clip in self.clips])
        return hash_parts([files, self.unit_s, CROP_SEED, *splits])

    def count_seen(self, seen: frozenset[str] | None) -> dict[str, int] | None:
        """Count the tested clips that share a source with the pre-training data."""
        tested = np.unique(np.concatenate([test for _, test in self.rounds()]))
        return count_overlap((self.clips[i].sources for i in tested), seen)


def evaluate_linear(
    embedder: Embedder,
    task: LinearTask,
    cache: Path,
    settings: ProbeSettings,
    seeds: Sequence[int],
) -> dict[str, object]:
    """Train and test a probe for each seed, and average over the rounds of a task with folds.

    Returns:
        Accuracy [%].
    """
    first_train = task.rounds()[0][0]
    chosen = np.random.default_rng(CROP_SEED).permutation(first_train)[:STATISTICS_CLIPS]
    embedder.fit(task.load(int(i)) for i in chosen)
    features = embed_cached(embedder, task.load, len(task.clips), task.identity(), cache)
    labels = task.labels
    runs = []
    for seed in tqdm(seeds, desc="probes", unit="seed"):
        rounds = task.splits(seed)
        accuracies = [run_probe(features, labels, splits, settings, seed) for splits in rounds]
        runs.append(float(np.mean(accuracies)))
    return summarise(runs)
