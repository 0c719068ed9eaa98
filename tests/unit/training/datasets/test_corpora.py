from __future__ import annotations

from pathlib import Path

import pytest

from training.data.manifest import SourceClip
from training.datasets.corpora import FOLDS, draw_folds, find_corpora


def rows(
    corpus: str, label: str, recordings: int, takes: int = 1, **columns: str
) -> list[SourceClip]:
    """Clips of one class: several of each recording."""
    return [
        SourceClip(
            Path("data"),
            f"{corpus}/{label}-{i}-{take}.wav",
            {"corpus": corpus, "label": label, "recording": f"{label}-{i}", **columns},
        )
        for i in range(recordings)
        for take in range(takes)
    ]


def test_folds_and_splits_of_the_manifest_are_kept() -> None:
    clips = [
        *rows("folds", "cat", 2, fold="1"),
        *rows("folds", "dog", 1, fold="2"),
        *rows("splits", "yes", 1, split="train", seconds="0.9"),
        *rows("splits", "no", 1, split="test", seconds="1.3"),
    ]
    (folds, splits), left_out = find_corpora(clips)
    assert (folds.name, [clip.fold for clip in folds.clips]) == ("folds", [1, 1, 2])
    assert [clip.split for clip in splits.clips] == ["train", "test"]
    assert (folds.sides, splits.sides) == ("fold", "split")
    assert splits.unit_s == 1.5
    assert folds.unit_s == 10.0
    assert not left_out


def test_drawn_folds_share_no_recording_and_hold_every_class() -> None:
    clips = [*rows("sea", "waves", 6, 10), *rows("sea", "gulls", 5, 10), *rows("sea", "horn", 4)]
    (corpus,), _ = find_corpora(clips)
    assert {clip.label for clip in corpus.clips} == {"waves", "gulls"}
    assert len(corpus.clips) == 110
    sides: dict[str, set[int | None]] = {}
    for clip, recording in zip(corpus.clips, corpus.recordings, strict=True):
        sides.setdefault(recording, set()).add(clip.fold)
    assert all(len(folds) == 1 for folds in sides.values())
    for label in ("waves", "gulls"):
        assert {clip.fold for clip in corpus.clips if clip.label == label} == set(range(1, 6))
    again, _ = find_corpora(list(reversed(clips)))
    assert sorted((c.path, c.fold) for c in again[0].clips) == sorted(
        (c.path, c.fold) for c in corpus.clips
    )


@pytest.mark.parametrize(
    ("clips", "reason"),
    [
        (rows("few", "a", 5) + rows("few", "b", 5), "10 clips"),
        (rows("one", "a", 150) + rows("one", "b", 4, 30), "1 of 2 classes"),
        (rows("bare", "", 9), "label"),
        (rows("sfx_pool", "door", 80) + rows("sfx_pool", "hit", 80), "names of folders"),
        (rows("single", "a", 3, fold="1"), "single fold"),
        (rows("half", "a", 3, split="train"), "split is missing"),
    ],
)
def test_a_corpus_without_a_fair_split_is_left_out(clips: list[SourceClip], reason: str) -> None:
    corpora, left_out = find_corpora(clips)
    assert not corpora
    assert reason in next(iter(left_out.values()))


def test_a_recording_of_two_classes_is_in_one_fold() -> None:
    shared = {f"r{i}" for i in range(5)}
    folds = draw_folds({"a": shared, "b": shared | {"x", "y"}})
    assert set(folds) == shared | {"x", "y"}
    assert {folds[name] for name in shared} == set(range(1, FOLDS + 1))
