from __future__ import annotations

import csv
from pathlib import Path

import pytest

from training.data.attribution import HELD_OUT, TRAINED, write_attribution
from training.data.manifest import SourceClip
from training.data.splits import sources
from training.errors import DatasetError
from training.evaluation.overlap import ATTRIBUTION, count_overlap, trained_sources, unseen_clips


def clip(name: str, **columns: str) -> SourceClip:
    return SourceClip(Path("data"), name, columns)


TRAINED_CLIPS = [
    clip("a.wav", recording="street", freesound_id=""),
    clip("b.wav", recording="rec:2", freesound_id="2"),
]
HELD_OUT_CLIPS = [clip("c.wav", recording="rec:3", freesound_id="3")]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    roles = {TRAINED: TRAINED_CLIPS, HELD_OUT: HELD_OUT_CLIPS}
    write_attribution(tmp_path / ATTRIBUTION, roles, None)
    return tmp_path


def test_a_clip_that_shares_a_source_with_a_training_clip_is_not_unseen(bundle: Path) -> None:
    related = [
        clip("cut-of-a.wav", recording="street"),
        clip("upload-of-b.wav", recording="x", freesound_id="2"),
        clip("repeats-b.wav", recording="y", esc50_src_overlap="2"),
    ]
    free = [*HELD_OUT_CLIPS, clip("d.wav", recording="z")]
    assert unseen_clips([*TRAINED_CLIPS, *related, *free], bundle) == free


def test_an_older_bundle_that_names_only_paths_is_read_with_the_manifest(bundle: Path) -> None:
    path = bundle / ATTRIBUTION
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    kept = [column for column in rows[0] if column not in ("recording", "esc50_src_overlap")]
    with path.open("w", newline="") as lines:
        table = csv.DictWriter(lines, kept, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    cut = clip("cut-of-a.wav", recording="street")
    assert "a.wav" in trained_sources(bundle)
    assert unseen_clips([*TRAINED_CLIPS, cut], bundle) == []


def test_test_clips_with_a_training_source_are_counted(bundle: Path) -> None:
    seen = trained_sources(bundle)
    tested = [sources(c) | {c.name} for c in [*TRAINED_CLIPS, *HELD_OUT_CLIPS]]
    assert count_overlap(tested, seen) == {"heard": 2, "tested": 3}
    assert count_overlap(tested, frozenset()) == {"heard": 0, "tested": 3}
    assert count_overlap([frozenset()] * 3, seen) is None


def test_a_bundle_without_a_list_of_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its training clips are not known"):
        trained_sources(tmp_path)
