from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_library import execute

from service.catalog.database import Database
from service.catalog.inspection import faults_reported, has_tables, quick_check
from service.errors import LibraryError

SCHEMA = "CREATE TABLE words (word TEXT) STRICT; CREATE INDEX by_word ON words (word);"
WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from service.catalog.database import Database
db = Database(Path(sys.argv[1]), schema="")
with db.transaction("write") as connection:
    connection.execute("INSERT INTO words VALUES ('new')")
os._exit(1)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of many pages."""
    path = tmp_path / "catalog.sqlite"
    database = Database(path, schema=SCHEMA)
    with database.transaction("write") as db:
        db.executemany("INSERT INTO words VALUES (?)", [(f"{n:0300}",) for n in range(200)])
    database.close()
    return path


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 4096):  # the head of every page but the first
        content[start : start + 8] = os.urandom(8)
    file.write_bytes(content)


def test_a_sound_database_passes(file: Path) -> None:
    quick_check(file)
    assert has_tables(file)


def test_damage_is_one_line_that_says_what_to_do(file: Path) -> None:
    damage(file)
    with pytest.raises(LibraryError, match=r"(?s)is damaged.*backup.*\.recover") as error:
        quick_check(file)
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_is_damage(file: Path, tmp_path: Path) -> None:
    execute(tmp_path, "INSERT INTO words VALUES (CAST(x'ff41' AS TEXT))")
    for query in ("SELECT word FROM words NOT INDEXED", "SELECT 1 FROM sentences"):
        with pytest.raises(LibraryError, match="is damaged"), faults_reported(file):
            execute(tmp_path, query)
    damage(file)
    with pytest.raises(LibraryError, match="is damaged"), faults_reported(file):
        execute(tmp_path, "SELECT count(*), max(word) FROM words NOT INDEXED")


@pytest.mark.parametrize("code", ["SQLITE_FULL", "SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_IOERR"])
def test_other_errors_are_not_called_damage(tmp_path: Path, code: str) -> None:
    error = sqlite3.OperationalError("of the disk")
    error.sqlite_errorcode = getattr(sqlite3, code)
    with (
        pytest.raises(LibraryError, match=r"cannot be used.*of the disk"),
        faults_reported(tmp_path),
    ):
        raise error


def test_the_check_reads_the_log_of_a_dead_process_and_changes_nothing(file: Path) -> None:
    """The check must not move the log into the database that it may not belong to."""
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(file)], check=False)
    log = file.with_name(f"{file.name}-wal")
    before = (file.read_bytes(), log.read_bytes())
    assert before[1]
    quick_check(file)
    assert (file.read_bytes(), log.read_bytes()) == before
    assert len(execute(file.parent, "SELECT * FROM words WHERE word = 'new'")) == 1


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_an_empty_file_has_no_tables_and_another_file_is_an_error(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "catalog.sqlite"
    file.write_bytes(content)
    if content:
        with pytest.raises(LibraryError, match="is damaged"):
            has_tables(file)
    else:
        assert not has_tables(file)
    assert file.read_bytes() == content


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be used"):
        quick_check(tmp_path / "nowhere.sqlite")
    assert list(tmp_path.iterdir()) == []
