from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_disk import fill, read_only, small_disk

from service.catalog import database as database_module
from service.catalog.database import Database
from service.concurrency.deadline import ClientDisconnectedError, Deadline, working_until
from service.errors import (
    DeadlineError,
    LibraryDamagedError,
    LibraryError,
    OverloadError,
    StorageFullError,
    StorageUnavailableError,
)

SCHEMA = "CREATE TABLE counts (value INTEGER NOT NULL); INSERT INTO counts VALUES (0);"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db", schema=SCHEMA)
    yield database
    database.close()


def change_and_fail(database: Database) -> None:
    with database.transaction("write") as db:
        db.execute("UPDATE counts SET value = 7")
        raise LibraryError


def set_value(database: Database, number: int) -> None:
    with database.transaction("write") as db:
        db.execute("UPDATE counts SET value = ?", [number])


def value(database: Database) -> int:
    return int(database.query("SELECT value FROM counts")[0][0])


def test_every_commit_is_on_the_disk_before_it_returns(database: Database) -> None:
    """Write-ahead log and full synchronisation (2), on every connection."""
    with database.transaction("read"), database.transaction("read"):
        pass
    assert database.query("PRAGMA journal_mode") == [("wal",)]
    assert database.query("PRAGMA synchronous") == [(2,)]


def test_schema_is_made_once(tmp_path: Path, database: Database) -> None:
    with database.transaction("write") as db:
        db.execute("UPDATE counts SET value = 7")
    again = Database(tmp_path / "db", schema=SCHEMA)
    assert value(again) == 7
    again.close()


def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    with pytest.raises(LibraryError):
        change_and_fail(database)
    assert value(database) == 0


def test_a_read_transaction_sees_one_state(database: Database) -> None:
    with database.transaction("read") as reader:
        assert reader.execute("SELECT value FROM counts").fetchone() == (0,)
        with database.transaction("write") as db:
            db.execute("UPDATE counts SET value = 7")
        assert value(database) == 7
        assert reader.execute("SELECT value FROM counts").fetchone() == (0,)


def test_writers_of_many_threads_and_two_connections_lose_nothing(
    tmp_path: Path, database: Database
) -> None:
    other = Database(tmp_path / "db", schema=SCHEMA)

    def increment(number: int) -> None:
        with (database, other)[number % 2].transaction("write") as db:
            (before,) = db.execute("SELECT value FROM counts").fetchone()
            db.execute("UPDATE counts SET value = ?", (before + 1,))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(40)))
    other.close()
    assert value(database) == 40


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LibraryError, match="file is not a database"):
        Database(tmp_path / "db", schema=SCHEMA)
    with pytest.raises(LibraryError, match="cannot be used"):
        Database(tmp_path / "nowhere" / "db", schema=SCHEMA)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Database]:
    """A database in a folder of its own, without an idle connection; others have it open."""
    (tmp_path / "folder").mkdir()
    other = Database(tmp_path / "folder" / "db", schema=SCHEMA)
    database = Database(tmp_path / "folder" / "db", schema=SCHEMA)
    database.close()
    yield database
    database.close()
    other.close()


def test_a_moment_of_a_read_only_disk_stops_writes_no_longer_than_it_lasts(
    tmp_path: Path, fresh: Database
) -> None:
    """SQLite opens the file read-only, without an error, and the connection would stay so."""
    with read_only(tmp_path / "folder"):
        assert value(fresh) == 0
        for _ in range(2):
            with pytest.raises(StorageUnavailableError), fresh.transaction("write"):
                pass
            with pytest.raises(StorageUnavailableError):
                fresh.check_writable()
        with fresh.transaction("read") as first, fresh.transaction("read") as second:
            assert first.execute("SELECT 1").fetchone() == second.execute("SELECT 1").fetchone()
    for _ in range(3):
        with fresh.transaction("write") as db:
            db.execute("UPDATE counts SET value = value + 1")
        fresh.check_writable()
    assert value(fresh) == 3


def test_a_connection_is_not_used_again_after_an_error(database: Database) -> None:
    with pytest.raises(LibraryError), database.transaction("read") as used:
        raise LibraryError
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used.execute("SELECT 1")
    assert value(database) == 0


def test_a_writer_does_not_hinder_the_proof_that_another_connection_can_write(
    database: Database,
) -> None:
    with database.transaction("write"):
        database.check_writable()
        assert value(database) == 0


def test_a_full_disk_has_an_error_of_its_own_and_the_write_has_no_effect(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        database = Database(disk / "db", schema=SCHEMA)
        filler = fill(disk)
        with pytest.raises(StorageFullError), database.transaction("write") as db:
            db.execute("CREATE TABLE large AS SELECT 7 AS n, zeroblob(1000000)")
        assert not database.query("SELECT 1 FROM sqlite_schema WHERE name = 'large'")
        filler.unlink()
        with database.transaction("write") as db:
            db.execute("UPDATE counts SET value = 7")
        assert value(database) == 7
        database.close()


def test_a_query_is_interrupted_at_the_deadline_and_when_the_client_leaves(
    database: Database,
) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    late, left = Deadline(), Deadline()
    late.begin(0.01)
    with working_until(late), pytest.raises(DeadlineError):
        database.query(endless)
    threading.Timer(0.01, left.abandon).start()
    with working_until(left), pytest.raises(ClientDisconnectedError):
        database.query(endless)
    with working_until(Deadline()):
        assert value(database) == 0


def test_a_damaged_file_and_a_lock_that_is_not_released_have_their_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.01)
    database = Database(tmp_path / "db", schema=SCHEMA)
    with database.transaction("write"), pytest.raises(OverloadError):
        database.transaction("write").__enter__()
    database.close()
    content = bytearray((tmp_path / "db").read_bytes())
    content[100:108] = b"\xff" * 8  # the head of the first page
    (tmp_path / "db").write_bytes(content)
    with pytest.raises(LibraryDamagedError):
        database.query("SELECT value FROM counts")


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_moved_away_is_not_written_and_not_made_anew(
    tmp_path: Path, is_replaced: bool
) -> None:
    database = Database(tmp_path / "db", schema=SCHEMA)
    (tmp_path / "db").rename(tmp_path / "aside")
    if is_replaced:
        Database(tmp_path / "db", schema=SCHEMA).close()
    with pytest.raises(StorageUnavailableError, match="moved away or replaced"):
        database.check_writable()
    for _ in range(2):  # with a connection that was open, and with a new one
        with pytest.raises(StorageUnavailableError, match="moved away or replaced"):
            set_value(database, 7)
    assert (tmp_path / "db").exists() == is_replaced
    if not is_replaced:
        (tmp_path / "aside").rename(tmp_path / "db")
        set_value(database, 8)
        assert value(database) == 8
    database.close()
