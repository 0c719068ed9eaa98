from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.catalog.database import Database
from service.errors import LibraryError

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
