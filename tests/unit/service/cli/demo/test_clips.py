"""The shipped clips of the demo library and their table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from service.audio.decoding import decode
from service.cli.demo.mixture import SAMPLE_RATE
from service.cli.demo.tour import CLIPS, TABLE
from service.library.folder import read_metadata

LEVEL_RANGE_DB = (-40.0, -15.0)
"""RMS of a whole clip, pauses included, relative to full scale."""

ROWS = read_metadata(TABLE)


@pytest.mark.parametrize("path", sorted(CLIPS.iterdir()), ids=lambda path: path.stem)
def test_a_clip_decodes_at_a_usable_level_and_has_its_row(path: Path) -> None:
    audio = decode(path, sample_rate=SAMPLE_RATE)
    level_db = 10 * np.log10(np.square(audio.samples, dtype=np.float64).mean())

    assert audio.source_channels == 1
    assert audio.duration_s == ROWS[path.name]["seconds"]
    assert np.abs(audio.samples).max() < 1
    assert LEVEL_RANGE_DB[0] < level_db < LEVEL_RANGE_DB[1]


def test_every_row_has_a_clip_and_every_kind_two() -> None:
    assert set(ROWS) == {path.name for path in CLIPS.iterdir()}
    assert min(Counter(row["kind"] for row in ROWS.values()).values()) >= 2
    assert all(row["title"] and row["description"] for row in ROWS.values())
