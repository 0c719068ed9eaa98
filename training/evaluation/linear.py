"""Linear evaluation on a task of labelled clips (paper, section 5.4; facts, section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from tqdm import tqdm

from training.datasets.metadata import TaskClip
from training.errors import DatasetError
from training.evaluation.division import Division, divide
from training.evaluation.embeddings import (
    embed_cached,
    fit_length,
    hash_files,
    hash_parts,
    read_sound,
)
from training.evaluation.encoders import Embedder
from training.evaluation.heard import count_heard
from training.evaluation.interval import percent
from training.evaluation.probe import ProbeSettings, run_probe
from training.model.frontend import SAMPLE_RATE

STATISTICS_CLIPS = 5_000
CROP_SEED = 42


@dataclass(frozen=True, slots=True)
class LinearTask:
    """Clips of a task and what of each is embedded.

    Attributes:
        clips: In the order of the metadata.
        unit_s: Length that is embedded [s].
        train_folds: Folds to train on, all others to test on, in one round; None takes every
            fold as the tested one in turn. Of no use to a task with splits.
    """

    clips: Sequence[TaskClip]
    unit_s: float
    train_folds: frozenset[int] | None = None

    @property
    def labels(self) -> Int64[np.ndarray, " clips"]:
        """Number the classes."""
        numbered: np.ndarray = np.unique([c.label for c in self.clips], return_inverse=True)[1]
        return numbered

    def rounds(self) -> list[tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]]:
        """List the rows to train on and to test on: once, or once a fold.

        Raises:
            DatasetError: The folds to train on leave nothing to train on or to test on.
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

    def divisions(self, seed: int) -> Iterator[Division]:
        """Divide every round; validation rows are the task's own or drawn with the seed."""
        valid = np.array([clip.split == "valid" for clip in self.clips])
        for train, test in self.rounds():
            if valid.any():
                yield Division(train[~valid[train]], train[valid[train]], test)
            else:
                yield divide(train, test, self.labels, seed)

    def load(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read one clip and bring it to the length of the task.

        A longer clip is cut: at a place drawn for the clip where it is trained on or validated
        with, at its start where it is tested on or the task has folds. A shorter one is followed
        by zeros.
        """
        clip, samples = self.clips[i], round(self.unit_s * SAMPLE_RATE)
        sound = read_sound(clip.path)
        start = 0
        if clip.split in ("train", "valid"):
            random = np.random.default_rng([CROP_SEED, i])
            start = int(random.integers(max(sound.size - samples, 0) + 1))
        return fit_length(sound, samples, start)

    def identity(self) -> str:
        """Hash what decides the embedded sounds: the files, their sides and the length."""
        sides = [clip.split for clip in self.clips]
        files = hash_files([clip.path for clip in self.clips])
        return hash_parts([files, self.unit_s, CROP_SEED, *sides])

    def heard(self, heard: frozenset[str]) -> dict[str, int] | None:
        """Count the tested clips that share a source with what was heard in pre-training."""
        tested = np.unique(np.concatenate([test for _, test in self.rounds()]))
        return count_heard((self.clips[i].sources for i in tested), heard)


def evaluate_linear(
    embedder: Embedder,
    task: LinearTask,
    cache: Path,
    settings: ProbeSettings,
    seeds: Sequence[int],
) -> dict[str, object]:
    """Train and test a probe for each seed; where there are folds, average over them.

    Returns:
        Accuracy [%].
    """
    first_train = task.rounds()[0][0]
    chosen = np.random.default_rng(CROP_SEED).permutation(first_train)[:STATISTICS_CLIPS]
    embedder.fit(_loaded(task, chosen))
    features = embed_cached(embedder, task.load, len(task.clips), task.identity(), cache)
    labels = task.labels
    runs = []
    for seed in tqdm(seeds, desc="probes", unit="seed"):
        rounds = task.divisions(seed)
        runs.append(
            np.mean([run_probe(features, labels, rows, settings, seed) for rows in rounds]).item()
        )
    return percent(runs)


def _loaded(task: LinearTask, rows: Iterable[int]) -> Iterator[Float32[np.ndarray, " samples"]]:
    for i in rows:
        yield task.load(int(i))
