from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from small_disk import fill as fill_disk
from small_disk import small_disk
from tiny_library import MEAN, make_clip, make_embedding, open_library, stored_files

from service.catalog.audio_store import REMOVED_SUFFIX
from service.clips import ClipRecord
from service.concurrency.locks import shared_directory
from service.difference import centre
from service.errors import BackupError, LibraryError
from service.library import backup as backup_module
from service.library.backup import back_up
from service.library.library import Library
from service.library.restore import restore

N_CLIPS = 8


def fill(library: Library) -> None:
    library.writer.put_many([make_clip(f"c{i}", i, metadata={"n": i}) for i in range(N_CLIPS)])
    library.writer.put(make_clip("vector", 99, stored=False))
    library.writer.put(make_clip("long", 98, stored=False, n_windows=5))
    library.writer.delete("c3")


def answers(library: Library) -> list[list[tuple[str, float, float | None]]]:
    """Search with every embedding and return ids, scores and starts of windows."""
    queries = [centre(make_embedding(i), MEAN) for i in range(N_CLIPS)]
    return [
        [(hit.record.id, hit.score, hit.start_s) for hit in library.search(q, 9, every_window=True)]
        for q in queries
    ]


def stored(library: Library) -> list[ClipRecord]:
    return [record for record in library.page()[0] if record.source == "stored"]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Make a backup of a library that is open."""
    library = open_library(tmp_path / "library")
    fill(library)
    back_up(tmp_path / "library", tmp_path / "backup.tar")
    library.close()
    return tmp_path / "backup.tar"


def test_a_restored_library_has_the_clips_and_hits_of_the_original(tmp_path: Path) -> None:
    library = open_library(tmp_path / "library")
    fill(library)
    summary = back_up(tmp_path / "library", tmp_path / "backup.tar")
    n_bytes: list[int] = []
    assert restore(tmp_path / "backup.tar", tmp_path / "new", on_bytes=n_bytes.append) == summary
    assert sum(n_bytes) == summary.size_bytes
    restored = open_library(tmp_path / "new", create=False)
    assert restored.page()[0] == library.page()[0]
    assert answers(restored) == answers(library)
    for record in library.page()[0]:
        if record.source == "stored":
            whole = library.audio_path(record.id).read_bytes()
            assert restored.audio_path(record.id).read_bytes() == whole
    assert summary.files == N_CLIPS - 1


def test_a_backup_leaves_nothing_behind_in_the_library(tmp_path: Path, backup: Path) -> None:
    assert all(name.startswith("audio/") for name in stored_files(tmp_path / "library"))
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_during_writes_is_of_one_moment(tmp_path: Path) -> None:
    """A writer puts clips in pairs; a backup never has half of a pair."""
    library = open_library(tmp_path / "library")
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            library.writer.put_many([make_clip("left", i), make_clip("right", i + 1)])
            library.writer.put_many([make_clip(f"{side}{i}", i) for side in ("l", "r")])
            i += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            back_up(tmp_path / "library", tmp_path / f"{number}.tar")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        restore(tmp_path / f"{number}.tar", tmp_path / f"new{number}")
        restored = open_library(tmp_path / f"new{number}", create=False)
        ids = {record.id for record in restored.page(limit=10_000)[0]}
        assert ("left" in ids) == ("right" in ids)
        assert {i[1:] for i in ids if i[0] == "l"} - {"eft"} == {
            i[1:] for i in ids if i[0] == "r"
        } - {"ight"}
        assert all(restored.audio_path(i).is_file() for i in ids)
        restored.close()


def test_a_library_is_not_restored_over_another(tmp_path: Path, backup: Path) -> None:
    with pytest.raises(BackupError, match="holds a library"):
        restore(backup, tmp_path / "library")


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.9])
def test_a_backup_with_one_changed_byte_is_not_restored(
    tmp_path: Path, backup: Path, place: float
) -> None:
    content = bytearray(backup.read_bytes())
    used = len(bytes(content).rstrip(b"\0"))
    content[int(place * used)] ^= 1
    backup.write_bytes(content)
    with pytest.raises(BackupError):
        restore(backup, tmp_path / "new")
    assert not (tmp_path / "new" / "catalog.sqlite").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_backup_that_is_cut_short_is_not_restored_and_a_complete_one_is_afterwards(
    tmp_path: Path, backup: Path, share: float
) -> None:
    whole = backup.read_bytes()
    used = len(whole.rstrip(b"\0"))
    backup.write_bytes(whole[: int(share * used)])
    with pytest.raises(BackupError):
        restore(backup, tmp_path / "new")
    assert not (tmp_path / "new" / "catalog.sqlite").exists()
    backup.write_bytes(whole)
    restore(backup, tmp_path / "new")
    assert open_library(tmp_path / "new", create=False).catalog.count() == N_CLIPS + 1


def test_a_member_with_a_path_outside_the_library_is_refused(tmp_path: Path, backup: Path) -> None:
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(backup) as source, tarfile.open(hostile, "w") as target:
        first = source.next()
        assert first is not None
        target.addfile(first, source.extractfile(first))
        escape = tarfile.TarInfo("../escape")
        escape.size = 1
        target.addfile(escape, io.BytesIO(b"x"))
    with pytest.raises(BackupError, match="escape"):
        restore(hostile, tmp_path / "new")
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_missing_and_changed_audio_files_are_errors(tmp_path: Path, damage: str) -> None:
    library = open_library(tmp_path / "library")
    record, _ = library.writer.put(make_clip("a", 1))
    assert record.path is not None
    path = tmp_path / "library" / record.path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"other bytes")
    with pytest.raises(BackupError, match=path.name):
        back_up(tmp_path / "library", tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()


def test_a_folder_without_a_library_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="is no library"):
        back_up(tmp_path, tmp_path / "backup.tar")


def test_a_backup_to_another_disk_takes_no_room_in_the_library(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        library = open_library(disk / "library")
        fill(library)
        fill_disk(disk)
        before = sorted(path.name for path in (disk / "library").rglob("*"))
        back_up(disk / "library", tmp_path / "backup.tar")
        assert sorted(path.name for path in (disk / "library").rglob("*")) == before
        expected = answers(library)
        library.close()
    restore(tmp_path / "backup.tar", tmp_path / "new")
    restored = open_library(tmp_path / "new", create=False)
    assert answers(restored) == expected
    restored.close()


def test_a_library_that_nobody_has_open_is_backed_up_from_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        library = open_library(disk / "library", reserve_bytes=1 << 20)
        fill(library)
        library.close()
        fill_disk(disk)
        assert back_up(disk / "library", tmp_path / "backup.tar").files == N_CLIPS - 1


def test_clips_deleted_and_replaced_during_a_backup_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library(tmp_path / "library")
    fill(library)
    expected = {record.id: library.audio_path(record.id).read_bytes() for record in stored(library)}
    write = backup_module._write

    def delete_all_and_write(*arguments: Any) -> None:
        for record in stored(library):
            library.writer.delete(record.id)
        library.writer.put(make_clip("c1", 1))  # its content again, and other content
        library.writer.put(make_clip("c2", 50))
        library.writer.delete("c2")
        write(*arguments)

    monkeypatch.setattr(backup_module, "_write", delete_all_and_write)
    back_up(tmp_path / "library", tmp_path / "backup.tar")
    assert len(stored_files(tmp_path / "library")) == 1  # nothing that was deleted is left
    assert library.audio_path("c1").read_bytes() == expected["c1"]
    restore(tmp_path / "backup.tar", tmp_path / "new")
    restored = open_library(tmp_path / "new", create=False)
    assert {
        record.id: restored.audio_path(record.id).read_bytes() for record in stored(restored)
    } == expected


def test_what_a_killed_backup_kept_is_removed_at_the_next_start_and_backup(tmp_path: Path) -> None:
    library = open_library(tmp_path / "library")
    fill(library)
    with shared_directory(tmp_path / "library" / "audio"):  # as a backup holds it
        library.writer.delete("c1")
        open_library(tmp_path / "library").close()
        assert any(name.endswith(REMOVED_SUFFIX) for name in stored_files(tmp_path / "library"))
    back_up(tmp_path / "library", tmp_path / "backup.tar")
    assert not any(name.endswith(REMOVED_SUFFIX) for name in stored_files(tmp_path / "library"))
    with shared_directory(tmp_path / "library" / "audio"):
        library.writer.delete("c2")
    library.close()
    open_library(tmp_path / "library").close()
    assert not any(name.endswith(REMOVED_SUFFIX) for name in stored_files(tmp_path / "library"))


def test_a_full_disk_of_the_backup_is_an_error_of_that_disk(tmp_path: Path) -> None:
    library = open_library(tmp_path / "library")
    fill(library)
    with small_disk(tmp_path / "disk", 1 << 16) as disk:
        with pytest.raises(OSError, match="disk"):
            back_up(tmp_path / "library", disk / "backup.tar")
        assert not list(disk.iterdir())
    library.close()
