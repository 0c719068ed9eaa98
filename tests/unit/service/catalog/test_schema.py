from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from old_library import make_schema_1
from tiny_library import MEAN, execute, make_clip, make_embedding, open_library

from service.catalog import schema
from service.catalog.integrity import check_rows, find_structural_faults
from service.concurrency.locks import claimed_folder
from service.difference import centre
from service.errors import LibraryError
from service.library.backup import back_up
from service.library.restore import restore
from service.library.verify import open_verifier

N_CLIPS = 12


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A library of schema 1."""
    library = open_library(tmp_path / "old")
    clips = [make_clip(f"c{n}", n, metadata={"n": n}, n_windows=n % 3) for n in range(N_CLIPS)]
    library.writer.put_many(clips)
    library.index.save()
    library.close()
    make_schema_1(tmp_path / "old")
    return tmp_path / "old"


def assert_is_complete(path: Path) -> None:
    library = open_library(path)
    try:
        for n in range(N_CLIPS):
            hits = library.search(centre(make_embedding(n), MEAN), 1)
            assert [hit.record.metadata for hit in hits] == [{"n": n}]
            windows = library.catalog.windows(f"c{n}")
            assert (0 if windows is None else len(windows.embeddings)) == n % 3
        for table in ("clips", "vectors", "windows"):
            assert check_rows(library.catalog.database, table, 0, 100).damaged == []
        assert find_structural_faults(library.catalog.database) == []
    finally:
        library.close()


def test_a_library_of_schema_1_is_upgraded_when_it_is_opened(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.catalog"):
        assert_is_complete(old)
    about_schema = [item.message for item in caplog.records if item.name == schema.__name__]
    assert about_schema == [
        f"upgraded {old}/catalog.sqlite from schema 1 to 2, with checksums of its content as it"
        " is now"
    ]
    assert execute(old, "SELECT schema_version FROM meta") == [(2,)]
    caplog.clear()
    with caplog.at_level(logging.INFO, "service.catalog"):
        assert_is_complete(old)
    assert all(item.name != schema.__name__ for item in caplog.records)


def test_an_upgraded_catalogue_has_the_columns_of_a_new_one(old: Path, tmp_path: Path) -> None:
    open_library(old).close()
    open_library(tmp_path / "new").close()
    columns = (
        "SELECT tables.name, columns.name, columns.type, columns.pk FROM sqlite_schema AS tables"
        " JOIN pragma_table_info(tables.name) AS columns WHERE tables.name NOT LIKE 'sqlite_%'"
    )
    assert set(execute(old, columns)) == set(execute(tmp_path / "new", columns))


def test_an_upgrade_that_was_stopped_is_done_at_the_next_start(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = execute(old, "SELECT * FROM vectors")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_FROM_1_TO_2", (*schema._FROM_1_TO_2, "SELECT stop()"))
        with pytest.raises(LibraryError, match="no such function: stop"):
            open_library(old)
    assert execute(old, "SELECT schema_version FROM meta") == [(1,)]
    assert execute(old, "SELECT * FROM vectors") == before
    assert_is_complete(old)


def test_a_library_that_a_process_has_open_is_not_upgraded(old: Path) -> None:
    """It may be of the older version, which could not write any more."""
    tmp = old / "tmp"
    tmp.mkdir(exist_ok=True)
    for use in (open_library, open_verifier):
        with (
            claimed_folder(tmp),
            pytest.raises(LibraryError, match="schema 1, and a process that is running has it"),
        ):
            use(old)
    assert_is_complete(old)


def test_damage_after_an_upgrade_is_noticed(old: Path) -> None:
    open_library(old).close()
    blob = np.zeros(16, np.float16).tobytes().hex()
    execute(old, f"UPDATE vectors SET embedding = x'{blob}' WHERE seq = 3")
    library = open_library(old)
    assert check_rows(library.catalog.database, "vectors", 0, 100).damaged == [3]
    library.close()


def test_a_backup_of_schema_1_is_restored_and_opened(old: Path, tmp_path: Path) -> None:
    back_up(old, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "restored")
    assert_is_complete(tmp_path / "restored")


@pytest.mark.parametrize("version", [0, -126])
def test_a_schema_that_no_version_made_is_damage(tmp_path: Path, version: int) -> None:
    open_library(tmp_path).close()
    execute(tmp_path, f"UPDATE meta SET schema_version = {version}")
    with pytest.raises(LibraryError, match=f"damaged: its schema is {version}"):
        open_library(tmp_path)


@pytest.mark.parametrize(
    "change",
    ["revision = revision - 2", "revision = revision + 512", "token = token - 1", "revision = 0"],
)
def test_a_damaged_revision_hides_no_write(
    tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    library = open_library(tmp_path)
    for n in range(4):
        library.writer.put(make_clip(f"c{n}", n))
    library.index.save()
    library.close()
    execute(tmp_path, f"UPDATE meta SET {change}")

    library = open_library(tmp_path)
    assert "is damaged: a new one is stored" in caplog.text
    for n in range(4, 8):
        library.writer.put(make_clip(f"c{n}", n))
        hits = library.search(centre(make_embedding(n), MEAN), 100)
        assert [hit.record.id for hit in hits[:1]] == [f"c{n}"]
        assert len(hits) == n + 1
    library.close()


@pytest.mark.parametrize(
    "change",
    ["vectors RENAME COLUMN precision TO prebision", "clips ADD COLUMN colour TEXT"],
)
def test_tables_that_no_version_made_are_damage(tmp_path: Path, change: str) -> None:
    open_library(tmp_path).close()
    execute(tmp_path, f"ALTER TABLE {change}")
    with pytest.raises(LibraryError, match="its tables are not those of schema 2"):
        open_library(tmp_path)
