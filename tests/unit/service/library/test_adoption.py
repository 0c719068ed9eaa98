from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import write_tones
from tiny_library import execute, make_stored, stored_files

from service.audio.decoding import AudioLimits
from service.catalog.audio_store import AudioStore
from service.catalog.quarantine import Quarantine
from service.clips import ClipRecord, NewClip
from service.inference.embedding_space import CentredSpace
from service.inference.encoder import Encoder
from service.inference.pooling import Windowing
from service.library.adoption import Adopter, AdoptionReport
from service.library.file_reader import FileReader
from service.library.folder_import import FolderImporter
from service.library.library import Library
from service.library.opening import Creation
from service.library.writer import ClipWriter

N_FILES = 4
LOST = Creation(if_empty=False, if_lost=True)


@pytest.fixture
def reader(encoder: Encoder) -> Iterator[FileReader]:
    windowing = Windowing(1.0, 0.5, beyond_s=1.0)
    with FileReader(encoder, limits=AudioLimits(), windowing=windowing) as reader:
        yield reader


@pytest.fixture
def path(tmp_path: Path, encoder: Encoder, reader: FileReader) -> Path:
    """A library with clips of stored audio, one of them with windows."""
    files = write_tones(tmp_path / "sounds", N_FILES - 1)
    files += write_tones(tmp_path / "long", 1, duration_s=2.0)
    library = opened(tmp_path / "library", encoder)
    FolderImporter(tmp_path, library, reader, copy=True).run(files)
    library.index.save()
    library.close()
    return tmp_path / "library"


def opened(path: Path, encoder: Encoder, **options: Any) -> Library:
    space = CentredSpace(encoder.fingerprint, encoder.mean)
    return Library.open(path, space=space, **options)


def adopt(path: Path, encoder: Encoder, reader: FileReader) -> AdoptionReport:
    library = opened(path, encoder, create=LOST)
    try:
        return Adopter(path, library, reader).run()
    finally:
        library.close()


def records(path: Path, encoder: Encoder) -> dict[str, ClipRecord]:
    library = opened(path, encoder, create=False)
    found = {record.id: record for record in library.page()[0]}
    library.close()
    return found


def test_a_library_without_catalogue_gets_its_sounds_back_under_their_ids(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    before, files = records(path, encoder), stored_files(path)
    library = opened(path, encoder)
    embeddings = {clip_id: library.catalog.embedding(clip_id) for clip_id in before}
    library.close()
    (path / "catalog.sqlite").unlink()

    report = adopt(path, encoder, reader)

    assert (report.adopted, report.already, report.unreadable) == (N_FILES, 0, [])
    after = records(path, encoder)
    assert after.keys() == before.keys()
    library = opened(path, encoder)
    for clip_id, record in after.items():
        was = before[clip_id]
        assert (record.path, record.sha256, record.windows) == (was.path, was.sha256, was.windows)
        assert (record.duration_s, record.metadata) == (was.duration_s, {})
        np.testing.assert_allclose(
            library.catalog.embedding(clip_id), embeddings[clip_id], rtol=2e-3
        )
    library.close()
    assert stored_files(path) == files
    assert Quarantine(path).folders() == []


def test_the_files_keep_their_bytes_and_are_not_copied(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    inodes = {name: (path / name).stat().st_ino for name in stored_files(path)}
    (path / "catalog.sqlite").unlink()
    adopt(path, encoder, reader)
    assert {name: (path / name).stat().st_ino for name in stored_files(path)} == inodes


def test_files_that_an_older_catalogue_did_not_name_become_clips(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    before = records(path, encoder)
    execute(path, f"DELETE FROM clips WHERE id IN {tuple(before)[:2]}")
    opened(path, encoder).close()
    report = adopt(path, encoder, reader)
    assert report.adopted == 2
    after = records(path, encoder)
    assert after.keys() == before.keys()
    kept = set(before) - set(tuple(before)[:2])
    assert all(after[clip_id] == before[clip_id] for clip_id in kept)


def test_damaged_and_undecodable_files_stay_in_the_quarantine(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    flipped, undecodable = (path / name for name in sorted(stored_files(path))[:2])
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)
    undecodable.unlink()
    (path / "catalog.sqlite").unlink()
    made = store(path, b"no sound")

    report = adopt(path, encoder, reader)

    assert report.adopted == N_FILES - 2
    reasons = {failure.path.name: failure.code for failure in report.unreadable}
    assert reasons == {flipped.name: "file_changed", made.name: "audio_undecodable"}
    (folder,) = Quarantine(path).folders()
    assert {file.name for file in folder.files()} == {flipped.name, made.name}
    assert adopt(path, encoder, reader).adopted == 0


def test_a_clip_that_was_given_the_id_of_a_file_is_not_replaced(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    before = records(path, encoder)
    clip_id = next(iter(before))
    library = opened(path, encoder)
    embedding = library.catalog.embedding(clip_id)
    library.close()
    execute(path, f"DELETE FROM clips WHERE id = '{clip_id}'")
    library = opened(path, encoder)
    library.writer.put(NewClip(id=clip_id, embedding=embedding, metadata={"mine": True}))
    library.close()
    assert adopt(path, encoder, reader).adopted == 1
    after = records(path, encoder)
    assert after[clip_id].metadata == {"mine": True}
    assert after[before[clip_id].sha256 or ""].path == before[clip_id].path


def test_a_file_whose_content_a_clip_has_is_not_adopted_again(
    path: Path, encoder: Encoder, reader: FileReader
) -> None:
    """A process was killed after it had made the clip."""
    (path / "catalog.sqlite").unlink()
    opened(path, encoder, create=LOST).close()
    (folder,) = Quarantine(path).folders()
    copies = {file: file.read_bytes() for file in folder.files()}
    adopt(path, encoder, reader)
    for file, content in copies.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    report = adopt(path, encoder, reader)
    assert (report.adopted, report.already) == (0, N_FILES)
    assert len(records(path, encoder)) == N_FILES


def test_a_write_that_fails_loses_no_file(
    path: Path, encoder: Encoder, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {Path(name).name for name in stored_files(path)}
    (path / "catalog.sqlite").unlink()

    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    library = opened(path, encoder, create=LOST)
    with monkeypatch.context() as patched:
        patched.setattr(library.catalog, "put", fail)
        with pytest.raises(OSError, match="disk is full"):
            Adopter(path, library, reader).run()
    library.close()
    assert {file.name for file in (path / "quarantine").rglob("*.wav")} == names
    assert adopt(path, encoder, reader).adopted == N_FILES


def test_a_stopped_run_continues(
    path: Path, encoder: Encoder, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "catalog.sqlite").unlink()
    put_many = ClipWriter.put_many
    calls: list[int] = []

    def put_then_stop(writer: ClipWriter, clips: list[NewClip]) -> object:
        result = put_many(writer, clips[:1])
        calls.append(len(clips))
        raise KeyboardInterrupt(result)

    with monkeypatch.context() as patched:
        patched.setattr(ClipWriter, "put_many", put_then_stop)
        with pytest.raises(KeyboardInterrupt):
            adopt(path, encoder, reader)
    assert calls
    assert adopt(path, encoder, reader).adopted == N_FILES - 1
    assert len(records(path, encoder)) == N_FILES


def store(path: Path, content: bytes) -> Path:
    """Store bytes as a library does."""
    files = AudioStore(path)
    staged = files.stage(make_stored(content))
    files.publish([staged])
    files.close()
    return path / staged.name
