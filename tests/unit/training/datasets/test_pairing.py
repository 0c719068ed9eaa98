from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import synth
from tiny_datasets import write_backgrounds, write_esc50

from training.data.manifest import SourceClip, read_clips
from training.datasets.pairing import assign_backgrounds, decode_source
from training.datasets.sides import find_events
from training.errors import DatasetError


@pytest.fixture
def events(tmp_path: Path) -> list[SourceClip]:
    return find_events(write_esc50(tmp_path / "esc"))


def test_enough_backgrounds_are_used_once_each(events: list[SourceClip], tmp_path: Path) -> None:
    candidates = read_clips(write_backgrounds(tmp_path / "bg", 12))
    found = assign_backgrounds(events, candidates, [0, 1])
    assert len({clip.name for clip in found.backgrounds}) == len(events) == 10
    assert not found.with_replacement
    assert assign_backgrounds(events, candidates, [0, 1]).backgrounds == found.backgrounds
    assert assign_backgrounds(events, candidates, [1, 1]).backgrounds != found.backgrounds


def test_too_few_backgrounds_are_used_equally_often(
    events: list[SourceClip], tmp_path: Path
) -> None:
    found = assign_backgrounds(events, read_clips(write_backgrounds(tmp_path / "bg", 3)), [0])
    assert sorted(Counter(c.name for c in found.backgrounds).values()) == [3, 3, 4]
    assert (found.files, found.recordings, found.with_replacement) == (3, 3, True)


def test_short_and_silent_recordings_are_skipped(events: list[SourceClip], tmp_path: Path) -> None:
    folder = write_backgrounds(tmp_path / "bg", 1)
    synth.write(folder / "street" / "short.wav", synth.noise(0, 9.9))
    synth.write(folder / "street" / "silent.wav", np.zeros(12 * 16_000, np.float32))
    found = assign_backgrounds(events, read_clips(folder), [0])
    assert {clip.path.name for clip in found.backgrounds} == {"b0.wav"}
    (folder / "street" / "b0.wav").unlink()
    with pytest.raises(DatasetError, match="none of 2 backgrounds has 10 s of sound"):
        assign_backgrounds(events, read_clips(folder), [0])


def test_the_lowest_rate_of_any_source_is_known(events: list[SourceClip], tmp_path: Path) -> None:
    candidates = read_clips(write_backgrounds(tmp_path / "bg", 1, rate=44_100))
    assert assign_backgrounds(events, candidates, [0]).lowest_rate == 16_000


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_text("this is no sound")
    with pytest.raises(DatasetError, match=r"no\.wav cannot be read"):
        decode_source(tmp_path / "no.wav", 16_000)
