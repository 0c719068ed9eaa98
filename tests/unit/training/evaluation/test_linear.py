from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synth
from tiny_evaluation import BandEmbedder

from training.datasets.metadata import TaskClip
from training.errors import DatasetError
from training.evaluation.linear import LinearTask, evaluate_linear
from training.evaluation.probe import ProbeSettings

SETTINGS = ProbeSettings(learning_rate=0.05, epochs=15)


def write_clips(
    folder: Path, n: int, *, folds: int = 0, valid: bool = False, noise: float = 0.0
) -> list[TaskClip]:
    """Write tones of two classes, of another level each."""
    clips = []
    for i in range(n):
        tone = synth.tone(500.0 if i % 2 else 1500.0, 1.0, amplitude=0.1 + 0.02 * (i % 7))
        sound = tone + synth.noise(i, 1.0, amplitude=noise)
        path = synth.write(folder / f"{i:02}.wav", sound, subtype="FLOAT")
        side = ("train", "train", "valid" if valid else "train", "test")[i // 2 % 4]
        known = frozenset({f"clip{i}"})
        clips.append(
            TaskClip(path, str(i % 2), fold=1 + i // 2 % folds, sources=known)
            if folds
            else TaskClip(path, str(i % 2), split=side, sources=known)
        )
    return clips


def test_linearly_separable_classes_are_classified(tmp_path: Path) -> None:
    task = LinearTask(write_clips(tmp_path, 32), 0.5)
    embedder = BandEmbedder()
    found = evaluate_linear(embedder, task, tmp_path / "cache", SETTINGS, seeds=(1, 2, 3))
    assert found == {"mean": 100.0, "interval_95": 0.0, "runs": [100.0] * 3}
    assert embedder.fitted == 24
    assert embedder.embedded == 32


def test_every_fold_is_tested_on_once(tmp_path: Path) -> None:
    task = LinearTask(write_clips(tmp_path, 24, folds=4), 1.0)
    rounds = task.rounds()
    assert len(rounds) == 4
    assert sorted(np.concatenate([test for _, test in rounds]).tolist()) == list(range(24))
    for splits in task.splits(seed=0):
        assert splits.valid.size == 2
        everything = np.concatenate([splits.train, splits.valid, splits.test])
        assert sorted(everything.tolist()) == list(range(24))
    assert evaluate_linear(BandEmbedder(), task, tmp_path / "c", SETTINGS, (1,))["mean"] == 100.0


def test_chosen_folds_train_and_all_others_test(tmp_path: Path) -> None:
    clips = write_clips(tmp_path, 20, folds=5)
    ((train, test),) = LinearTask(clips, 1.0, frozenset({1, 2, 3})).rounds()
    assert {clips[i].fold for i in train} == {1, 2, 3}
    assert {clips[i].fold for i in test} == {4, 5}
    with pytest.raises(DatasetError, match="nothing to train or nothing to test"):
        LinearTask(clips, 1.0, frozenset({9})).rounds()


def test_the_validation_split_of_a_task_is_used(tmp_path: Path) -> None:
    clips = write_clips(tmp_path, 16, valid=True)
    (splits,) = LinearTask(clips, 1.0).splits(seed=0)
    sides = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    for side, rows in sides.items():
        assert {clips[i].split for i in rows} == {side}


def test_training_clips_are_cut_at_random_and_test_clips_at_the_start(tmp_path: Path) -> None:
    clips = write_clips(tmp_path, 16, noise=0.02)
    task, whole = LinearTask(clips, 0.25), LinearTask(clips, 1.0)
    starts = set()
    for i, clip in enumerate(clips):
        cut, sound = task.load(i), whole.load(i)
        assert cut.size == 4000
        assert np.array_equal(cut, task.load(i))
        start = next(s for s in range(12_001) if np.array_equal(sound[s : s + 4000], cut))
        if clip.split == "test":
            assert start == 0
        else:
            starts.add(start)
    assert len(starts) > 8
    assert LinearTask(clips, 2.0).load(0)[16_000:].tolist() == [0.0] * 16_000
