from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_library import (
    DIM,
    FINGERPRINT,
    make_bytes,
    make_clip,
    make_embedding,
    make_stored,
    stored_files,
)

from service.catalog.catalog import Catalog
from service.catalog.stored_names import stored_paths
from service.clips import NewClip, ReferencedAudio
from service.concurrency.deadline import ClientDisconnectedError, Deadline, working_until
from service.errors import (
    ClientError,
    ClipIdInvalidError,
    DeadlineError,
    EmbeddingInvalidError,
    MetadataInvalidError,
)
from service.library.writer import ClipWriter


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite", fingerprint=FINGERPRINT, precision="float32")
    yield catalog
    catalog.close()


@pytest.fixture
def writer(tmp_path: Path, catalog: Catalog) -> Iterator[ClipWriter]:
    writer = ClipWriter(tmp_path, catalog, dim=DIM)
    yield writer
    writer.close()


def is_consistent(path: Path, catalog: Catalog) -> bool:
    """Tell whether the files are exactly those that the catalogue names."""
    return stored_files(path) == stored_paths(catalog.database)


def test_stored_audio_is_named_by_its_content(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    clip = make_clip("a", 1)
    ((record, created),) = writer.put_many([clip])
    assert created
    assert record.source == "stored"
    assert record.size_bytes == len(make_bytes(1))
    assert record.path == f"audio/{record.sha256[:2]}/{record.sha256}.wav"
    assert (tmp_path / record.path).read_bytes() == make_bytes(1)
    assert is_consistent(tmp_path, catalog)


def test_referenced_audio_is_named_by_its_absolute_path(
    tmp_path: Path, writer: ClipWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = replace(make_clip("a", 1), audio=ReferencedAudio(Path("x.wav"), "0" * 64, 12))
    ((record, _),) = writer.put_many([clip])
    assert (record.source, record.path) == ("referenced", str(tmp_path / "x.wav"))
    assert (record.sha256, record.size_bytes) == ("0" * 64, 12)
    assert stored_files(tmp_path) == set()


def test_a_path_that_is_not_utf_8_is_refused(writer: ClipWriter) -> None:
    path = Path(os.fsdecode(b"/sounds/\xff.wav"))
    with pytest.raises(OSError, match="not UTF-8"):
        writer.put_many([replace(make_clip("a", 1), audio=ReferencedAudio(path, "0" * 64, 12))])


def test_replacing_removes_audio_that_no_clip_has_any_more(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    writer.put_many([make_clip("a", 1)])
    ((_, created),) = writer.put_many([make_clip("a", 2)])
    assert not created
    assert len(stored_files(tmp_path)) == 1
    writer.put_many([make_clip("a", 2, stored=False)])
    assert stored_files(tmp_path) == set()
    assert is_consistent(tmp_path, catalog)


def test_content_stays_while_any_clip_has_it(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    writer.put_many([make_clip("a", 1), make_clip("b", 1)])
    writer.delete("a")
    assert len(stored_files(tmp_path)) == 1
    writer.put_many([make_clip("b", 2)])
    writer.put_many([make_clip("b", 1)])
    writer.delete("b")
    assert stored_files(tmp_path) == set()
    assert is_consistent(tmp_path, catalog)


def test_of_two_clips_with_one_id_in_one_write_the_last_counts(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    results = writer.put_many([make_clip("a", 1), make_clip("a", 2)])
    assert [created for _, created in results] == [True, False]
    assert catalog.count() == 1
    assert is_consistent(tmp_path, catalog)


def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.put_many([make_clip("kept", 1)])
    before = stored_files(tmp_path)

    def disk_full(*_: object) -> None:
        raise OSError("disk full")

    broken = replace(make_clip("b", 3), audio=make_stored(b"x", "/../../x"))
    with pytest.raises(ValueError, match="no file can be named"):
        writer.put_many([make_clip("a", 2), broken])
    monkeypatch.setattr(Catalog, "put", disk_full)
    with pytest.raises(OSError, match="disk full"):
        writer.put_many([make_clip("a", 2), make_clip("kept", 1)])
    assert stored_files(tmp_path) == before
    assert catalog.count() == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": "a/b"}, ClipIdInvalidError),
        ({"metadata": {"a": {}}}, MetadataInvalidError),
        ({"embedding": make_embedding(0)[1:]}, EmbeddingInvalidError),
        ({"embedding": np.full(DIM, np.nan, np.float32)}, EmbeddingInvalidError),
        ({"embedding": np.full(DIM, 65_600, np.float32)}, EmbeddingInvalidError),
    ],
)
def test_bad_clips_are_refused_before_anything_is_written(
    tmp_path: Path,
    catalog: Catalog,
    writer: ClipWriter,
    changes: dict[str, object],
    error: type[ClientError],
) -> None:
    with pytest.raises(error):
        writer.put_many([make_clip("good", 1), replace(make_clip("bad", 2), **changes)])
    assert catalog.revision() == 0
    assert stored_files(tmp_path) == set()


def test_opening_moves_files_that_no_clip_names(tmp_path: Path, catalog: Catalog) -> None:
    first = ClipWriter(tmp_path, catalog, dim=DIM)
    first.put_many([make_clip("a", 1)])
    orphan = tmp_path / "audio" / "ff" / f"{'f' * 64}.wav"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"left by a crash")
    second = ClipWriter(tmp_path, catalog, dim=DIM)
    assert second.moved.n_quarantined == 1
    assert is_consistent(tmp_path, catalog)
    (moved,) = (tmp_path / "quarantine").rglob("*.wav")
    assert moved.read_bytes() == b"left by a crash"
    for writer in (first, second):
        writer.close()


def test_concurrent_writers_of_the_same_content_lose_nothing(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    """Two writers, as two processes would have; clips share four contents."""
    other = ClipWriter(tmp_path, catalog, dim=DIM)

    def churn(number: int) -> None:
        mine = (writer, other)[number % 2]
        for round_ in range(5):
            mine.put_many([make_clip(f"c{number}", (number + round_) % 4)])
            if (number + round_) % 3 == 0:
                mine.delete(f"c{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(8)))
    other.close()
    assert is_consistent(tmp_path, catalog)
    assert 0 < catalog.count() <= 8


def test_a_clip_can_be_a_vector_without_audio(writer: ClipWriter) -> None:
    ((record, _),) = writer.put_many([NewClip(id="v", embedding=make_embedding(1))])
    assert record.source == "vector"
    assert record.sha256 is record.path is record.size_bytes is record.media_type is None


def test_nothing_is_written_or_removed_after_the_deadline(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter
) -> None:
    writer.put(make_clip("a", 1))
    before = stored_files(tmp_path)
    late, left = Deadline(), Deadline()
    late.begin(0)
    left.abandon()
    for deadline, error in ((late, DeadlineError), (left, ClientDisconnectedError)):
        with working_until(deadline):
            with pytest.raises(error):
                writer.put_many([make_clip("b", 2), make_clip("c", 3)])
            with pytest.raises(error):
                writer.delete("a")
    assert [record.id for _, record in catalog.page(0, 10, None)] == ["a"]
    assert stored_files(tmp_path) == before


def test_a_deadline_that_passes_within_a_transaction_undoes_it(
    tmp_path: Path, catalog: Catalog, writer: ClipWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = Deadline()
    put = catalog._put
    calls: list[str] = []

    def put_slowly(*arguments: Any) -> Any:
        calls.append("put")
        deadline.begin(0)
        return put(*arguments)

    monkeypatch.setattr(catalog, "_put", put_slowly)
    with working_until(deadline), pytest.raises(DeadlineError):
        writer.put_many([make_clip("a", 1), make_clip("b", 2)])
    assert calls == ["put"]
    assert catalog.count() == 0
    assert not stored_files(tmp_path)
