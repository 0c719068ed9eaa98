from __future__ import annotations

from pathlib import Path

import pytest
import tiny_apwd
from tiny_apwd import Value

from training.errors import DatasetError
from training.scenes.jams import read_soundscape


def test_the_sounds_of_a_soundscape_are_read_as_they_were_instantiated(tmp_path: Path) -> None:
    values = [tiny_apwd.background("101.wav", 3.5), tiny_apwd.event("dog", 2.0, 6.5)]
    tiny_apwd.write_jams(tmp_path / "a.jams", values, ref_db=-27.5)
    found = read_soundscape(tmp_path / "a.jams")
    assert (found.ref_db, found.sample_rate) == (-27.5, 44_100)
    (background,), (event,) = found.of_role("background"), found.of_role("foreground")
    assert (
        background.file,
        background.label,
        background.source_time,
        background.event_duration,
    ) == (
        "101.wav",
        "rain",
        3.5,
        10,
    )
    assert (event.file, event.event_time, event.snr) == ("5-1-A-0.wav", 2.0, 6.5)


def test_files_are_named_without_folders_of_either_separator(tmp_path: Path) -> None:
    value = tiny_apwd.event("dog", 2.0, 6.5) | {"source_file": r"D:\source\eval\dog\7-1.wav"}
    tiny_apwd.write_jams(tmp_path / "a.jams", [value])
    assert read_soundscape(tmp_path / "a.jams").items[0].file == "7-1.wav"


@pytest.mark.parametrize(
    ("wrong", "scaper", "field"),
    [
        ({"pitch_shift": 2.0}, {}, "pitch_shift"),
        ({"role": "middle"}, {}, "role"),
        ({"snr": "loud"}, {}, "snr"),
        ({"event_duration": 0}, {}, "event_duration"),
        ({}, {"duration": 5.0}, "sandbox.scaper.duration"),
        ({}, {"ref_db": None}, "sandbox.scaper.ref_db"),
    ],
)
def test_values_that_scaper_does_not_write_are_refused_by_their_field(
    tmp_path: Path, wrong: Value, scaper: Value, field: str
) -> None:
    values = [tiny_apwd.event("dog", 2.0, 6.5) | wrong]
    tiny_apwd.write_jams(tmp_path / "a.jams", values, **scaper)
    with pytest.raises(DatasetError, match=rf"a\.jams is no soundscape of Scaper: .*{field}"):
        read_soundscape(tmp_path / "a.jams")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jams").write_text("not JSON")
    with pytest.raises(DatasetError, match="no soundscape"):
        read_soundscape(tmp_path / "text.jams")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_soundscape(tmp_path / "missing.jams")
