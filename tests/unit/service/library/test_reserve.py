from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from small_disk import fill, small_disk
from tiny_library import make_clip, open_library, stored_files

from service.errors import StorageFullError
from service.library.reserve import Reserve

SIZE_BYTES = 1 << 20


def test_a_reserve_takes_its_room_for_real(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, SIZE_BYTES)
    assert not reserve.is_whole
    reserve.keep()
    assert reserve.is_whole
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= SIZE_BYTES
    assert reserve.release()
    assert not reserve.release()
    assert not reserve.is_whole


def test_a_reserve_has_the_size_of_the_setting(tmp_path: Path) -> None:
    Reserve(tmp_path, SIZE_BYTES).keep()
    Reserve(tmp_path, 2 * SIZE_BYTES).keep()
    assert (tmp_path / "reserve").stat().st_size == 2 * SIZE_BYTES
    Reserve(tmp_path, 0).keep()
    assert not (tmp_path / "reserve").exists()
    assert Reserve(tmp_path, 0).is_whole


def test_where_room_cannot_be_allocated_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    Reserve(tmp_path, SIZE_BYTES + 1).keep()
    assert (tmp_path / "reserve").read_bytes() == b"\0" * (SIZE_BYTES + 1)


def test_a_reserve_without_room_leaves_no_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", SIZE_BYTES // 2) as disk:
        reserve = Reserve(disk, SIZE_BYTES)
        with pytest.raises(OSError, match="No space"):
            reserve.keep()
        reserve.keep_if_possible()
        assert not list(disk.iterdir())


def test_a_reserve_that_cannot_grow_stays(tmp_path: Path) -> None:
    """A command with another setting must not take the reserve of a service on a full disk."""
    with small_disk(tmp_path / "disk", 2 * SIZE_BYTES) as disk:
        Reserve(disk, SIZE_BYTES).keep()
        Reserve(disk, 4 * SIZE_BYTES).keep_if_possible()
        fill(disk)
        assert Reserve(disk, SIZE_BYTES).is_whole
        assert (disk / "reserve").stat().st_blocks * 512 == SIZE_BYTES


def test_clips_are_deleted_on_a_full_disk_and_added_again_after_that(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        library = open_library(disk / "library", reserve_bytes=SIZE_BYTES)
        library.writer.put_many(
            [make_clip(f"c{n}", n, stored=n % 2 == 0, n_windows=50) for n in range(20)]
        )
        filler = fill(disk)
        before = stored_files(disk / "library")

        with pytest.raises(StorageFullError, match="the library has no room"):
            library.writer.put(make_clip("new", 99))
        assert stored_files(disk / "library") == before
        for n in range(20):
            library.writer.delete(f"c{n}")
            assert library.catalog.count() == 19 - n
        assert not stored_files(disk / "library")

        filler.unlink()
        library.writer.put(make_clip("new", 99))
        assert (disk / "library" / "reserve").stat().st_size == SIZE_BYTES
        assert [record.id for record in library.page()[0]] == ["new"]
        library.close()


def test_released_room_is_for_deletions_only(tmp_path: Path) -> None:
    """Otherwise the next clips would take it, and the next deletion would fail.

    A long read keeps the log from being emptied, so that the reserve cannot be made again.
    """
    large = make_clip("new", 99, stored=False, metadata={"text": "x" * 16_000})
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        library = open_library(disk / "library", reserve_bytes=SIZE_BYTES)
        library.writer.put_many([make_clip(f"c{n}", n, stored=False) for n in range(20)])
        with library.catalog.database.transaction("read") as reader:
            reader.execute("SELECT 1 FROM clips").fetchone()
            fill(disk)
            library.writer.delete("c0")
            assert not (disk / "library" / "reserve").exists()
            for _ in range(100):
                with pytest.raises(StorageFullError):
                    library.writer.put(large)
            for n in range(1, 20):
                library.writer.delete(f"c{n}")
        assert library.catalog.count() == 0
        library.close()


def test_a_library_on_a_full_disk_opens_and_clips_are_deleted_from_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        library = open_library(disk / "library", reserve_bytes=SIZE_BYTES)
        library.writer.put_many([make_clip(f"c{n}", n) for n in range(5)])
        library.close()
        fill(disk)
        library = open_library(disk / "library", reserve_bytes=SIZE_BYTES)
        assert library.catalog.count() == 5
        for n in range(5):
            library.writer.delete(f"c{n}")
        assert library.catalog.count() == 0
        library.close()


def test_a_snapshot_that_cannot_be_saved_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        library = open_library(disk / "library", reserve_bytes=SIZE_BYTES)
        library.writer.put_many([make_clip(f"c{n}", n) for n in range(5)])
        filler = fill(disk)
        library.index.save()
        assert "snapshot is not saved" in caplog.text
        filler.unlink()
        library.index.save()
        assert (disk / "library" / "index" / "snapshot.json").exists()
        library.close()
