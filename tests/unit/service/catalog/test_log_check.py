from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_library import make_clip, open_library

from service.catalog.log_check import damaged_frame, recover_log
from service.errors import LibraryError
from service.library.verify import open_verifier

HEADER_BYTES, FRAME_BYTES = 32, 24 + 4096
N_WRITES = 6


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library as a killed process leaves it: its last writes are in the log only."""
    path = tmp_path_factory.mktemp("killed") / "library"
    library = open_library(path)
    for seed in range(N_WRITES):
        library.writer.put(make_clip(f"clip{seed}", seed, stored=False))
    copy = path.with_name("copy")
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns("*-shm"))
    library.close()
    return copy


@pytest.fixture
def library(killed: Path, tmp_path: Path) -> Path:
    shutil.copytree(killed, tmp_path / "library")
    return tmp_path / "library"


def log_of(library: Path) -> Path:
    return library / "catalog.sqlite-wal"


def ends_of_writes(log: bytes) -> list[int]:
    """Return the numbers of the frames that end a write."""
    starts = range(HEADER_BYTES, len(log), FRAME_BYTES)
    sizes = [struct.unpack_from(">I", log, start + 4)[0] for start in starts]
    return [number for number, size in enumerate(sizes, start=1) if size]


def change(log: Path, position: int) -> None:
    content = bytearray(log.read_bytes())
    content[position] ^= 0x10
    log.write_bytes(content)


def first_byte(frame: int) -> int:
    return HEADER_BYTES + (frame - 1) * FRAME_BYTES


def test_a_log_that_was_not_damaged_is_taken_over(library: Path) -> None:
    assert damaged_frame(log_of(library)) is None
    recover_log(library / "catalog.sqlite")
    assert not log_of(library).exists()
    with sqlite3.connect(library / "catalog.sqlite") as db:
        assert db.execute("SELECT count(*) FROM clips").fetchone() == (N_WRITES,)
    db.close()


@pytest.mark.parametrize("offset", [0, 4, 8, 16, 24, 2000, FRAME_BYTES - 1])
def test_a_changed_byte_before_the_last_writes_is_damage(library: Path, offset: int) -> None:
    ends = ends_of_writes(log_of(library).read_bytes())
    for frame in range(1, ends[-3] + 1):
        change(log_of(library), first_byte(frame) + offset)
        assert damaged_frame(log_of(library)) == frame
        change(log_of(library), first_byte(frame) + offset)


@pytest.mark.parametrize("offset", [0, 4, 8, 17, 31])
def test_a_changed_header_is_damage(library: Path, offset: int) -> None:
    change(log_of(library), offset)
    assert damaged_frame(log_of(library)) == 0


def test_the_last_write_may_be_torn_anywhere(library: Path) -> None:
    content = log_of(library).read_bytes()
    last = ends_of_writes(content)[-2] + 1
    for position in range(first_byte(last), len(content), 512):
        torn = content[:position] + bytes(512) + content[position + 512 :]
        for left in (torn[: len(content)], content[:position]):
            log_of(library).write_bytes(left)
            assert damaged_frame(log_of(library)) is None


def test_a_log_without_its_catalogue_is_left_alone(library: Path) -> None:
    content = log_of(library).read_bytes()
    (library / "catalog.sqlite").unlink()
    recover_log(library / "catalog.sqlite")
    assert log_of(library).read_bytes() == content
    assert not (library / "catalog.sqlite").exists()


def test_no_log_is_not_damaged(tmp_path: Path) -> None:
    assert damaged_frame(tmp_path / "catalog.sqlite-wal") is None


@pytest.mark.parametrize("size_bytes", [0, 20, HEADER_BYTES])
def test_a_log_without_frames_is_not_damaged(library: Path, size_bytes: int) -> None:
    log_of(library).write_bytes(bytes(size_bytes))
    assert damaged_frame(log_of(library)) is None


def test_frames_of_an_earlier_filling_are_not_damage(library: Path) -> None:
    """SQLite fills a log again from its start, with other salts, over what was there."""
    content = log_of(library).read_bytes()
    first = ends_of_writes(content)[0]
    kept = content[: first_byte(first + 1)]
    earlier = bytearray(content[len(kept) :])
    for start in range(0, len(earlier), FRAME_BYTES):
        earlier[start + 8] ^= 0xFF
    log_of(library).write_bytes(kept + earlier)
    assert damaged_frame(log_of(library)) is None


def test_checksums_of_big_endian_machines_are_known(library: Path) -> None:
    content = bytearray(log_of(library).read_bytes())
    struct.pack_into(">I", content, 0, struct.unpack_from(">I", content)[0] | 1)
    checksum = [0, 0]

    def add(start: int, end: int) -> None:
        for even, odd in struct.iter_unpack(">II", content[start:end]):
            checksum[0] = (checksum[0] + even + checksum[1]) % 2**32
            checksum[1] = (checksum[1] + odd + checksum[0]) % 2**32

    add(0, 24)
    struct.pack_into(">II", content, 24, *checksum)
    for start in range(HEADER_BYTES, len(content), FRAME_BYTES):
        add(start, start + 8)
        add(start + 24, start + FRAME_BYTES)
        struct.pack_into(">II", content, start + 16, *checksum)
    log_of(library).write_bytes(content)

    assert damaged_frame(log_of(library)) is None
    change(log_of(library), first_byte(1) + 100)
    assert damaged_frame(log_of(library)) == 1


@pytest.mark.parametrize("use", [open_library, open_verifier])
def test_a_library_with_a_damaged_log_is_not_opened_and_stays_as_it_is(
    library: Path, use: Callable[[Path], object]
) -> None:
    change(log_of(library), first_byte(1) + 1000)
    files = (library / "catalog.sqlite", log_of(library))
    before = [file.read_bytes() for file in files]
    with pytest.raises(LibraryError, match="damaged at its frame 1") as error:
        use(library)
    assert "\n" not in str(error.value)
    assert [file.read_bytes() for file in files] == before


def test_a_library_that_another_process_writes_to_opens(library: Path) -> None:
    first = open_library(library)
    for seed in range(N_WRITES):
        first.writer.put(make_clip(f"more{seed}", seed, stored=False))
        second = open_library(library)
        assert second.catalog.count() == N_WRITES + seed + 1
        second.close()
    first.close()
