from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import synth

from training.data import store
from training.data.manifest import SourceClip
from training.data.store import ClipStore, open_store
from training.data.wav import write_wav
from training.errors import DatasetError
from training.evaluation.embeddings import read_sound

# Half a step of 16 bits and the rounding of the scale.
QUANTISATION = 0.51 / 32767


@pytest.fixture
def sounds(tmp_path: Path) -> list[SourceClip]:
    """Three files: at the encoder's rate, at another rate, and very short."""
    folder = tmp_path / "sounds"
    synth.write(folder / "tone.wav", synth.tone(440.0, 0.5), subtype="FLOAT")
    synth.write(
        folder / "rate.flac", synth.tone(440.0, 0.5, sample_rate=44_100), sample_rate=44_100
    )
    synth.write(folder / "click.wav", synth.tone(440.0, 0.001))
    return [SourceClip(folder, name) for name in ("tone.wav", "rate.flac", "click.wav")]


def refuse_to_decode(*_: object, **__: object) -> None:
    raise AssertionError("decoded again")


def opened(clips: Sequence[SourceClip], tmp_path: Path, max_unreadable: float = 0.0) -> ClipStore:
    return open_store(clips, tmp_path / "cache", max_unreadable)


def test_clips_are_stored_in_order_at_16_bits_and_16_khz(
    sounds: list[SourceClip], tmp_path: Path
) -> None:
    found = opened(sounds, tmp_path)
    assert found.clips == sounds
    assert found.lengths.tolist() == [8000, 8000, 16]
    assert np.abs(found.clip(0) - synth.tone(440.0, 0.5)).max() <= QUANTISATION
    middle = slice(500, -500)
    assert np.abs(found.clip(1) - synth.tone(440.0, 0.5))[middle].max() < 2e-3
    assert found.clip(2).shape == (16,)


def test_a_second_run_decodes_nothing(
    sounds: list[SourceClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(sounds, tmp_path)
    monkeypatch.setattr(store, "decode", refuse_to_decode)
    second = opened(sounds, tmp_path)
    assert second.clips == first.clips
    for i in range(3):
        assert np.array_equal(second.clip(i), first.clip(i))


def test_a_file_that_changed_is_decoded_again(sounds: list[SourceClip], tmp_path: Path) -> None:
    before = opened(sounds, tmp_path).clip(0)
    synth.write(sounds[0].path, synth.tone(880.0, 0.5), subtype="FLOAT")
    os.utime(sounds[0].path, ns=(1, 1))
    assert not np.array_equal(opened(sounds, tmp_path).clip(0), before)


def test_unreadable_files_are_listed_and_skipped(sounds: list[SourceClip], tmp_path: Path) -> None:
    folder = sounds[0].root
    (folder / "text.wav").write_text("this is no audio")
    broken = [SourceClip(folder, "text.wav"), SourceClip(folder, "missing.wav")]
    clips = [broken[0], sounds[0], broken[1], *sounds[1:]]
    found = opened(clips, tmp_path, max_unreadable=0.5)
    assert found.clips == sounds
    assert found.lengths.tolist() == [8000, 8000, 16]
    assert np.abs(found.clip(0) - synth.tone(440.0, 0.5)).max() <= QUANTISATION
    (listed,) = (tmp_path / "cache").glob("*/unreadable.csv")
    with listed.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["path"] for row in rows] == ["text.wav", "missing.wav"]
    assert all(row["reason"] for row in rows)


def test_too_many_unreadable_files_stop_the_run_every_time(
    sounds: list[SourceClip], tmp_path: Path
) -> None:
    clips = [*sounds, SourceClip(sounds[0].root, "missing.wav")]
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"1 of 4 files could not be read.*unreadable\.csv"):
            opened(clips, tmp_path, max_unreadable=0.2)
    assert len(opened(clips, tmp_path, max_unreadable=0.25).clips) == 3


def test_no_readable_file_is_an_error(tmp_path: Path) -> None:
    clips = [SourceClip(tmp_path, "missing.wav"), SourceClip(tmp_path, "absent.wav")]
    with pytest.raises(DatasetError, match="2 of 2"):
        opened(clips, tmp_path, max_unreadable=0.99)


def test_interrupted_decoding_starts_again(
    sounds: list[SourceClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setattr(store, "decode", refuse_to_decode)
        with pytest.raises(AssertionError):
            opened(sounds, tmp_path)
    assert opened(sounds, tmp_path).lengths.tolist() == [8000, 8000, 16]
    (complete,) = (tmp_path / "cache").iterdir()
    # A process that is killed cannot clean up; the next one does.
    complete.rename(complete.with_name(f".{complete.name}.0123.tmp"))
    assert opened(sounds, tmp_path).lengths.tolist() == [8000, 8000, 16]
    assert list((tmp_path / "cache").iterdir()) == [complete]


def test_files_of_more_than_an_hour_are_read(tmp_path: Path) -> None:
    """By training and by evaluations; at the lowest rate that the decoder accepts."""
    duration_s, path = 3_601, tmp_path / "long.wav"
    write_wav(path, np.zeros(duration_s * 4_000, np.int16), sample_rate=4_000)
    assert opened([SourceClip(tmp_path, path.name)], tmp_path).lengths == [duration_s * 16_000]
    assert read_sound(path).size == duration_s * 16_000


def test_files_of_more_than_two_hours_are_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    write_wav(path, np.zeros(7_201 * 4_000, np.int16), sample_rate=4_000)
    with pytest.raises(DatasetError, match="1 of 1"):
        opened([SourceClip(tmp_path, path.name)], tmp_path)


def test_a_selection_shares_the_samples(sounds: list[SourceClip], tmp_path: Path) -> None:
    whole = opened(sounds, tmp_path)
    some = whole.select(clip.name != "rate.flac" for clip in whole.clips)
    assert [clip.name for clip in some.clips] == ["tone.wav", "click.wav"]
    assert np.array_equal(some.clip(1), whole.clip(2))
    assert some.samples is whole.samples
    assert whole.select([False] * 3).clips == []
