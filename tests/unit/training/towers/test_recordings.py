from __future__ import annotations

import numpy as np
import tiny_pairs

from training.towers.recordings import ClipRecordings
from training.towers.training_pairs import clip_at

SCENES = tiny_pairs.with_other_recordings(tiny_pairs.make(5, 8, 0))
RECORDINGS = ClipRecordings.of(SCENES)


def test_every_clip_has_the_kind_and_number_of_its_backgrounds() -> None:
    rows = sorted(int(row) for members in RECORDINGS.rows.values() for row in members)
    assert rows == list(range(2 * len(SCENES.pairs)))
    for kind, members in RECORDINGS.rows.items():
        assert all(clip_at(SCENES, int(row)).labels[0] == kind for row in members)
    for i, pair in enumerate(SCENES.pairs):
        assert tuple(RECORDINGS.background_ids[2 * i : 2 * i + 2]) == pair.background_ids


def test_clips_share_a_recording_if_one_is_heard_in_both() -> None:
    rows = np.arange(0, 2 * len(SCENES.pairs), 3)
    found = RECORDINGS.share_none(rows, rows)
    heard = [
        {item.path for item in clip_at(SCENES, int(row)).items if item.role != "event"}
        for row in rows
    ]
    expected = [[one.isdisjoint(two) for two in heard] for one in heard]
    assert found.tolist() == expected
