from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from shell import write_tones
from tiny_library import execute

from service.audio.decoding import AudioLimits
from service.clips import NewClip, ReferencedAudio, Windows
from service.inference.embedding_space import CentredSpace
from service.inference.encoder import Encoder
from service.library.file_reader import FileReader, Hashed
from service.library.folder_import import FolderImporter, ImportReport
from service.library.library import Library


@pytest.fixture
def reader(encoder: Encoder) -> Iterator[FileReader]:
    with FileReader(encoder, limits=AudioLimits()) as reader:
        yield reader


@pytest.fixture
def library(encoder: Encoder, tmp_path: Path) -> Iterator[Library]:
    space = CentredSpace(encoder.fingerprint, encoder.mean)
    library = Library.open(tmp_path / "library", space=space)
    yield library
    library.close()


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.added, report.unchanged, len(report.unreadable)


def test_every_file_is_counted_once(reader: FileReader, library: Library, tmp_path: Path) -> None:
    files = write_tones(tmp_path, 3)
    (tmp_path / "bad.wav").write_bytes(b"bad")
    n_done: list[None] = []

    FolderImporter(tmp_path, library, reader).run(
        [*files, files[0], tmp_path / "bad.wav"], on_file=lambda: n_done.append(None)
    )

    assert len(n_done) == 5


def test_known_content_is_not_decoded(
    reader: FileReader, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_tones(tmp_path, 3)
    FolderImporter(tmp_path, library, reader).run(files)
    monkeypatch.setattr("service.inference.file_embedder.split_chunks", None)

    assert counts(FolderImporter(tmp_path, library, reader).run(files)) == (0, 3, 0)


def test_a_clip_with_the_same_content_and_another_id_is_not_changed(
    reader: FileReader, library: Library, tmp_path: Path
) -> None:
    (file,) = write_tones(tmp_path, 1)
    FolderImporter(tmp_path, library, reader).run([file])
    (record,), _ = library.page()
    audio = ReferencedAudio(file, record.sha256 or "", file.stat().st_size)
    embedding = library.catalog.embedding(record.id)
    library.writer.delete(record.id)
    library.writer.put(NewClip(id="mine", embedding=embedding, audio=audio, metadata={"a": 1}))

    report = FolderImporter(tmp_path, library, reader, table={file.name: {"a": 2}}).run([file])

    assert counts(report) == (0, 1, 0)
    assert library.catalog.get("mine").metadata == {"a": 1}


def test_a_file_that_changes_meanwhile_is_reported(
    reader: FileReader, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hashed, "is_unchanged", lambda self: not self.path.name.startswith("001"))

    report = FolderImporter(tmp_path, library, reader).run(write_tones(tmp_path, 3))

    assert counts(report) == (2, 0, 1)
    assert report.unreadable[0].reason == "it was changed while it was read"


def test_a_clip_that_is_refused_does_not_stop_the_others(
    reader: FileReader, library: Library, tmp_path: Path
) -> None:
    files = write_tones(tmp_path, 3)

    report = FolderImporter(tmp_path, library, reader, table={"001.wav": {"a name": 1}}).run(files)

    assert counts(report) == (2, 0, 1)
    assert report.unreadable[0].code == "metadata_invalid"


def test_a_file_name_that_is_not_unicode_is_reported(
    reader: FileReader, library: Library, tmp_path: Path
) -> None:
    (file,) = write_tones(tmp_path, 1)
    odd = file.rename(tmp_path / "\udcff.wav")

    report = FolderImporter(tmp_path, library, reader).run([odd])

    assert counts(report) == (0, 0, 1)


def test_a_full_disk_stops_the_run(
    reader: FileReader, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_many(clips: Sequence[NewClip]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "library/tmp/x")

    monkeypatch.setattr(library.writer, "put_many", put_many)

    with pytest.raises(OSError, match="No space left"):
        FolderImporter(tmp_path, library, reader).run(write_tones(tmp_path, 2))


@pytest.mark.parametrize(
    ("change", "table"),
    [("clips SET channels = 7", {}), ("vectors SET embedding = x'00'", {"000.wav": {"a": 2}})],
)
def test_a_damaged_clip_is_made_again_from_its_file(
    reader: FileReader,
    library: Library,
    tmp_path: Path,
    change: str,
    table: dict[str, dict[str, int]],
) -> None:
    (tmp_path / "sounds").mkdir()
    files = write_tones(tmp_path / "sounds", 3)
    importer = (tmp_path / "sounds", library, reader)
    FolderImporter(*importer).run(files)
    (first, *_), _ = library.page()
    expected = library.catalog.embedding(first.id)
    execute(tmp_path / "library", f"UPDATE {change} WHERE seq = 1")

    assert counts(FolderImporter(*importer, table=table).run(files)) == (1, 2, 0)
    assert library.catalog.get(first.id).channels == first.channels
    np.testing.assert_allclose(library.catalog.embedding(first.id), expected, atol=1e-3)


def test_a_clip_that_is_replaced_during_its_update_keeps_its_own_embedding(
    reader: FileReader, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = write_tones(tmp_path, 1)
    FolderImporter(tmp_path, library, reader).run([file])
    (record,), _ = library.page()
    other = library.catalog.embedding(record.id)[::-1].copy()
    windows = library.catalog.windows

    def replace_and_read(clip_id: str) -> Windows | None:
        monkeypatch.undo()
        audio = ReferencedAudio(file, "0" * 64, 1)
        library.writer.put(NewClip(id=clip_id, embedding=other, audio=audio))
        return windows(clip_id)

    monkeypatch.setattr(library.catalog, "windows", replace_and_read)
    FolderImporter(tmp_path, library, reader, table={file.name: {"a": 2}}).run([file])

    assert library.catalog.get(record.id).sha256 == "0" * 64
    assert library.catalog.embedding(record.id).tolist() == other.tolist()
