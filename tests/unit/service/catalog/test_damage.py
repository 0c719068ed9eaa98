"""What differs from its checksum is not served, and everything else is."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tiny_library import MEAN, execute, make_clip, make_embedding, open_library

from service.catalog.damage import Damage
from service.catalog.filters import parse_filter
from service.catalog.integrity import find_structural_faults
from service.clips import ClipRecord
from service.difference import centre
from service.errors import (
    ClipDamagedError,
    ClipUnknownError,
    DamagedError,
    LibraryDamagedError,
    LibraryError,
)
from service.library.library import Library
from service.row_ids import WINDOW_BITS

N_CLIPS = 6
ALL = {f"c{n}" for n in range(N_CLIPS)}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Clips c0 to c5, numbered from 1, of which c4 has windows."""
    library = open_library(tmp_path)
    library.writer.put_many(
        [make_clip(f"c{n}", n, metadata={"n": n}, n_windows=3 * (n == 4)) for n in range(N_CLIPS)]
    )
    yield library
    library.close()


def damage(path: Path, table: str, change: str, seq: int = 3) -> None:
    execute(path, f"UPDATE {table} SET {change} WHERE seq = {seq}")


def listed(library: Library, limit: int = 2) -> list[str]:
    """Return the ids of all clips, page by page."""
    ids, cursor = [], None
    while True:
        records, cursor = library.page(cursor, limit)
        ids += [record.id for record in records]
        if cursor is None:
            return ids


def found(library: Library, **options: object) -> set[str]:
    hits = library.search(centre(make_embedding(0), MEAN), 1000, **options)
    return {hit.record.id for hit in hits}


RECORD_DAMAGE = [
    "id = 'c9'",
    "source = 'referenced'",
    "sha256 = NULL",
    "path = 'audio/00/other.wav'",
    "media_type = 'audio/flac'",
    "size_bytes = size_bytes + 1",
    "duration_s = 1.25",
    "sample_rate_hz = 44100",
    "channels = 1",
    """metadata = '{"n":3}'""",
    "metadata = '{'",
    "metadata = CAST(x'7b226122ff7d' AS TEXT)",
    "created_at = '2020-01-01T00:00:00.000Z'",
    "updated_at = CAST(x'ff' AS TEXT)",
    "checksum = checksum + 1",
]


@pytest.mark.parametrize("change", RECORD_DAMAGE)
def test_a_damaged_record_is_left_out_and_the_rest_is_served(
    tmp_path: Path, library: Library, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path, "clips", change)
    name = "c9" if change.startswith("id") else "c2"
    assert listed(library) == sorted(ALL - {"c2"})
    assert found(library) == ALL - {"c2"}
    assert found(library, filter=parse_filter('{"n": {"gte": 0}}')) == ALL - {"c2"}
    with pytest.raises(ClipDamagedError, match=f"record of clip '{name}' is damaged"):
        library.catalog.get(name)
    assert library.catalog.count_damaged()["record"] == 1
    assert caplog.text.count("damaged record") == 1, "one line, however often it is read"


@pytest.mark.parametrize("change", RECORD_DAMAGE[1:])
def test_a_damaged_record_can_be_replaced_and_deleted(
    tmp_path: Path, library: Library, change: str
) -> None:
    damage(tmp_path, "clips", change)
    damage(tmp_path, "clips", change, seq=2)
    listed(library)
    record, is_new = library.writer.put(make_clip("c2", 2))
    assert not is_new
    assert library.catalog.get("c2") == record
    library.writer.delete("c1")
    assert listed(library) == sorted(ALL - {"c1"})
    assert library.catalog.count_damaged()["record"] == 0
    assert all(library.audio_path(name).is_file() for name in ALL - {"c1"})


ZEROS = f"x'{np.zeros(16, np.float16).tobytes().hex()}'"
VECTOR_DAMAGE = [
    f"embedding = {ZEROS}",
    "embedding = x'00'",
    "precision = 'int8'",
    "precision = CAST(x'ff' AS TEXT)",
    "checksum = 0",
]


@pytest.mark.parametrize("change", VECTOR_DAMAGE)
def test_a_damaged_vector_is_not_searched_and_not_returned(
    tmp_path: Path, library: Library, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path, "vectors", change)
    assert found(library) == ALL - {"c2"}
    assert listed(library) == sorted(ALL)
    for read in (library.catalog.embedding, library.catalog.windows):
        with pytest.raises(ClipDamagedError, match="embedding of clip 'c2' is damaged"):
            read("c2")
    assert library.catalog.count_damaged()["vector"] == 1
    assert [item.levelname for item in caplog.records] == ["ERROR"]
    assert "damaged vector of c2" in caplog.text


@pytest.mark.parametrize("change", [*VECTOR_DAMAGE[:2], "start_s = 7", "end_s = 1e9"])
def test_a_damaged_window_is_not_searched_and_not_returned(
    tmp_path: Path, library: Library, change: str
) -> None:
    execute(tmp_path, f"UPDATE windows SET {change} WHERE number = 2")
    assert found(library) == ALL
    assert library.index.n_vectors() == N_CLIPS + 2
    with pytest.raises(ClipDamagedError, match="a window of clip 'c4' is damaged"):
        library.catalog.windows("c4")
    rows = [(5 << WINDOW_BITS) + number for number in (1, 2, 3)]
    assert set(library.catalog.spans(rows)) == {rows[0], rows[2]}
    assert library.catalog.count_damaged()["window"] == 1


def test_a_window_without_a_number_is_damaged(tmp_path: Path, library: Library) -> None:
    """A flipped bit can make any value null, whatever the schema says."""
    schema = execute(tmp_path, "SELECT sql FROM sqlite_schema WHERE name = 'windows'")[0][0]
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_schema SET sql = ? WHERE name = 'windows'"
        lax = schema.replace("number INTEGER NOT NULL", "number INTEGER").replace("STRICT", "")
        db.execute(change, (lax,))
        db.execute("PRAGMA schema_version = 99")
    execute(tmp_path, "UPDATE windows SET number = NULL WHERE number = 2")
    assert found(library) == ALL
    assert library.index.n_vectors() == N_CLIPS + 2


def test_a_window_that_is_damaged_after_it_was_indexed_is_no_hit(
    tmp_path: Path, library: Library
) -> None:
    assert found(library) == ALL
    execute(tmp_path, "UPDATE windows SET start_s = 7")
    for hit in library.search(centre(make_embedding(0), MEAN), 1000):
        assert hit.start_s in (None, 0.0)


def test_many_damaged_parts_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    damaged = Damage()
    damaged.note("audio", ["z"])
    damaged.note("vector", [f"c{n:02}" for n in range(50)])
    assert len(caplog.records) == 2
    assert "c19 and 30 more" in caplog.text
    damaged.replace("vector", ["c01"])
    damaged.forget(["z"])
    assert (damaged.counts()["vector"], damaged.counts()["audio"]) == (1, 0)
    assert len(caplog.records) == 2, "what was known is not logged again"


def known(record: ClipRecord) -> ClipRecord:
    """Return a record without the number of windows, which is counted and has no checksum."""
    return replace(record, windows=0)


def truth(library: Library) -> dict[str, tuple[ClipRecord, list[float]]]:
    return {
        name: (known(library.catalog.get(name)), library.catalog.embedding(name).tolist())
        for name in sorted(ALL)
    }


def assert_right_or_refused(
    path: Path, expected: dict[str, tuple[ClipRecord, list[float]]]
) -> None:
    """Read everything: each part is as it was, or an error says that it is damaged."""
    try:
        library = open_library(path)
    except LibraryError:
        return
    try:
        for name, (record, embedding) in expected.items():
            _check(lambda name=name: known(library.catalog.get(name)), record, library)
            _check(lambda name=name: library.catalog.embedding(name).tolist(), embedding, library)
        for record in library.page(limit=100)[0]:
            assert known(record) == expected[record.id][0]
        for hit in library.search(centre(make_embedding(0), MEAN), 100):
            assert known(hit.record) == expected[hit.record.id][0]
    except DamagedError:
        pass
    finally:
        library.close()


def _check(read: Callable[[], object], expected: object, library: Library) -> None:
    try:
        assert read() == expected
    except ClipDamagedError:
        pass
    except ClipUnknownError:
        assert find_structural_faults(library.catalog.database), "the index of ids is damaged"


def test_no_flipped_bit_of_the_catalogue_is_served(tmp_path: Path, library: Library) -> None:
    expected = truth(library)
    library.close()
    file = tmp_path / "catalog.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
    whole = file.read_bytes()
    used = [place for place, value in enumerate(whole) if value]
    random = Random(21)
    logging.disable(logging.CRITICAL)
    try:
        for place in random.sample(used, 120):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << random.randrange(8)
            for other in tmp_path.glob("catalog.sqlite-*"):
                other.unlink()
            file.write_bytes(damaged)
            assert_right_or_refused(tmp_path, expected)
    finally:
        logging.disable(logging.NOTSET)
        file.write_bytes(whole)


@pytest.fixture
def misled(tmp_path: Path, library: Library) -> Library:
    """The library, with an index of ids in which c1 leads to c2."""
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db:
        name = "sqlite_autoindex_clips_1"
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        content = file.read(size)
        # An entry: type of the id (a text of two), type of the number (one byte), id, number.
        changed = content.replace(b"\x11\x01c1\x02", b"\x11\x01c1\x03")
        assert changed != content
        file.seek((page - 1) * size)
        file.write(changed)
    library.catalog.database.close()  # and its cache; the next query opens it again
    return library


def test_a_damaged_index_of_ids_serves_changes_and_deletes_no_other_clip(misled: Library) -> None:
    """The id c1 leads to the clip c2."""
    for use in (
        lambda: misled.catalog.get("c1"),
        lambda: misled.catalog.embedding("c1"),
        lambda: misled.writer.put(make_clip("c1", 1)),
        lambda: misled.writer.delete("c1"),
    ):
        with pytest.raises(LibraryDamagedError, match="index of ids names clip 'c2' for 'c1'"):
            use()
    assert listed(misled) == sorted(ALL)
    assert found(misled) == ALL
    assert find_structural_faults(misled.catalog.database)
