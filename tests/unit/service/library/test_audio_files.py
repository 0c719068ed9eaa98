from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from service.clips import ClipRecord
from service.errors import ClipAudioMissingError
from service.library.audio_files import audio_file, audio_path

DIGEST = "ab" * 32
NAME = f"audio/ab/{DIGEST}.wav"
RECORD = ClipRecord(
    id="a",
    source="stored",
    sha256=DIGEST,
    path=NAME,
    media_type="audio/wav",
    size_bytes=5,
    duration_s=1.0,
    sample_rate_hz=16_000,
    channels=1,
    metadata={},
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-01T00:00:00.000Z",
)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    library = tmp_path / "library"
    (library / NAME).parent.mkdir(parents=True)
    (library / NAME).write_bytes(b"sound")
    (tmp_path / "outside.wav").write_bytes(b"a file of the user")
    return library


def test_stored_audio_is_found_by_its_name(library: Path) -> None:
    assert audio_file(library, RECORD) == library / NAME


@pytest.mark.parametrize("suffix", [".wav", ".FLAC", ".mp3"])
def test_audio_read_in_place_may_be_anywhere(library: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"outside{suffix}"
    file.touch()
    record = replace(RECORD, source="referenced", path=str(file), sha256="0" * 64)
    assert audio_file(library, record) == file
    link = tmp_path / f"link{suffix}"
    link.symlink_to(file)
    assert audio_file(library, replace(record, path=str(link))) == link


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("stored", "../outside.wav"),
        ("stored", "/etc/passwd"),
        ("stored", "audio/ab/../../../outside.wav"),
        ("stored", f"audio/cd/{'cd' * 32}.wav"),
        ("stored", ""),
        ("referenced", "/etc/passwd"),
        ("referenced", "/proc/self/environ"),
        ("referenced", "../outside.wav"),
        ("referenced", "/dev/zero"),
        ("vector", "/etc/passwd"),
        ("vector", NAME),
    ],
)
def test_a_path_that_the_service_does_not_give_is_refused(
    library: Path, source: str, path: str
) -> None:
    record = replace(RECORD, source=source, path=path)
    for find in (audio_path, audio_file):
        with pytest.raises(ClipAudioMissingError, match=r"not the file of a clip|without audio"):
            find(library, record)


def test_special_files_and_links_out_of_the_library_are_not_opened(
    library: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (str(tmp_path / "pipe.wav"), str(tmp_path / "gone.wav"), "/x\0.wav"):
        with pytest.raises(ClipAudioMissingError, match="is missing"):
            audio_file(library, replace(RECORD, source="referenced", path=path))
    (library / NAME).unlink()
    (library / NAME).symlink_to(tmp_path / "outside.wav")
    with pytest.raises(ClipAudioMissingError, match="is missing"):
        audio_file(library, RECORD)
