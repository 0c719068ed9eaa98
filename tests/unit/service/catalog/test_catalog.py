from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_library import FINGERPRINT, execute, make_embedding

from service.catalog.catalog import Catalog
from service.catalog.schema import SCHEMA_VERSION
from service.catalog.stored_names import is_stored, stored_paths
from service.catalog.vectors import Embeddings, Entry
from service.clips import ClipRecord
from service.errors import ClipUnknownError, FingerprintMismatchError, LibraryError

RECORD = ClipRecord(
    id="rain",
    source="stored",
    sha256="0" * 64,
    path="audio/00/x.wav",
    media_type="audio/wav",
    size_bytes=44,
    duration_s=0.25,
    sample_rate_hz=44_100,
    channels=2,
    metadata={"kind": "rain", "tags": ["wet", 1, None]},
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-01T00:00:00.000Z",
)


def entry(clip_id: str, seed: int = 0, **changes: Any) -> Entry:
    embedding = make_embedding(seed).astype(np.float16)
    return Entry(replace(RECORD, id=clip_id, **changes), Embeddings(embedding))


def open_catalog(path: Path, fingerprint: str = FINGERPRINT) -> Catalog:
    return Catalog(path / "catalog.sqlite", fingerprint=fingerprint, precision="float32")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = open_catalog(tmp_path)
    yield catalog
    catalog.close()


def test_record_and_embedding_come_back_as_they_were_put(catalog: Catalog) -> None:
    (written,) = catalog.put([entry("rain", 3)])
    assert written.record == catalog.get("rain") == RECORD
    assert written.previous is None
    embedding = catalog.embedding("rain")
    assert embedding.dtype == np.float32
    np.testing.assert_array_equal(embedding, make_embedding(3))


def test_a_replaced_clip_keeps_its_number_and_its_time_of_creation(catalog: Catalog) -> None:
    catalog.put([entry("rain"), entry("wind")])
    (written,) = catalog.put([entry("rain", 5, created_at="later", updated_at="later")])
    assert written.previous == RECORD
    assert written.record == replace(RECORD, updated_at="later") == catalog.get("rain")
    assert [record and record.id for _, record in catalog.page(0, 9, None)] == ["rain", "wind"]
    np.testing.assert_array_equal(catalog.embedding("rain"), make_embedding(5))


def test_a_write_is_all_or_nothing(catalog: Catalog) -> None:
    bad = entry("wind", source="borrowed")
    with pytest.raises(sqlite3.IntegrityError):
        catalog.put([entry("rain"), bad])
    assert (catalog.count(), catalog.revision()) == (0, 0)


def test_every_write_raises_the_revision_by_one(catalog: Catalog) -> None:
    catalog.put([entry("a"), entry("b")])
    catalog.put([entry("a")])
    catalog.delete("b")
    assert catalog.revision() == 3
    with pytest.raises(ClipUnknownError):
        catalog.delete("b")
    assert catalog.revision() == 3


def test_a_number_is_never_used_again(catalog: Catalog) -> None:
    catalog.put([entry("a"), entry("b")])
    (_, (last, _)) = catalog.page(0, 9, None)
    assert catalog.delete("b") == replace(RECORD, id="b")
    catalog.put([entry("b")])
    assert [seq for seq, _ in catalog.page(last, 9, None)] == [last + 1]


def test_records_of_deleted_clips_are_left_out(catalog: Catalog) -> None:
    catalog.put([entry("a"), entry("b")])
    catalog.delete("a")
    assert catalog.records([2, 1, 7]) == {2: replace(RECORD, id="b")}


def test_records_that_were_changed_after_a_revision_are_left_out(catalog: Catalog) -> None:
    catalog.put([entry("a"), entry("b")])
    before = catalog.revision()
    catalog.put([entry("a")])
    assert catalog.records([1, 2], until=before) == {2: replace(RECORD, id="b")}
    assert len(catalog.records([1, 2], until=catalog.revision())) == 2


def test_clips_are_found_by_the_digest_of_their_audio(catalog: Catalog) -> None:
    catalog.put([entry("b"), entry("a"), entry("c", sha256=None, path=None, source="vector")])
    assert catalog.ids_by_content("0" * 64) == ("b", "a")
    assert catalog.ids_by_content("1" * 64) == ()


def test_stored_paths_are_those_of_stored_clips_only(catalog: Catalog) -> None:
    catalog.put([entry("a"), entry("b", source="referenced", path="/sounds/x.wav")])
    assert stored_paths(catalog.database) == {"audio/00/x.wav"}
    assert is_stored(catalog.database, "audio/00/x.wav", "1" * 64)
    assert not is_stored(catalog.database, "/sounds/x.wav", "1" * 64)


@pytest.mark.parametrize("index", ["clips_by_file", "clips_by_content"])
def test_a_stored_file_is_known_although_an_index_has_lost_it(tmp_path: Path, index: str) -> None:
    catalog = open_catalog(tmp_path)
    catalog.put([entry("a"), entry("b", source="referenced", path="/sounds/x.wav")])
    catalog.close()
    empty_index(tmp_path, index)
    catalog = open_catalog(tmp_path)
    assert stored_paths(catalog.database) == {"audio/00/x.wav"}
    assert is_stored(catalog.database, "audio/00/x.wav", "0" * 64)
    catalog.close()


def test_a_stored_file_is_known_although_the_table_names_another(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    catalog.put([entry("a")])
    catalog.close()
    file = tmp_path / "catalog.sqlite"
    content = file.read_bytes()
    # The row of the table holds more than the path; the index has the path and a number.
    row = content.index(b"audio/00/x.wavaudio/wav")
    file.write_bytes(content[:row] + b"audio/00/y.wav" + content[row + 14 :])
    catalog = open_catalog(tmp_path)
    assert stored_paths(catalog.database) == {"audio/00/x.wav", "audio/00/y.wav"}
    assert is_stored(catalog.database, "audio/00/x.wav", "1" * 64)
    catalog.close()


def empty_index(path: Path, name: str) -> None:
    """Remove all entries of an index, as damage of its pages could."""
    change = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '{}' WHERE name = '{}'"
    ((sql,),) = execute(path, f"SELECT sql FROM sqlite_schema WHERE name = '{name}'")
    empty = f"{sql.partition(' WHERE ')[0]} WHERE source IS NULL"
    for text in (empty, sql):
        with closing(sqlite3.connect(path / "catalog.sqlite")) as db:
            db.executescript(change.format(text.replace("'", "''"), name))
        if text == empty:
            execute(path, f"REINDEX {name}")


def test_no_catalogue_is_made_without_create(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(LibraryError, match="no catalogue"):
        Catalog(tmp_path / "catalog.sqlite", fingerprint="f", precision="float32", create=False)


def test_a_catalogue_without_identity_is_refused(tmp_path: Path) -> None:
    open_catalog(tmp_path).close()
    execute(tmp_path, "DELETE FROM meta")
    with pytest.raises(LibraryError, match="is damaged"):
        open_catalog(tmp_path)


def test_the_error_names_an_unknown_clip(catalog: Catalog) -> None:
    for read in (catalog.get, catalog.embedding):
        with pytest.raises(ClipUnknownError, match="'nobody'"):
            read("nobody")


def test_vectors_of_other_encoders_are_not_returned(tmp_path: Path, catalog: Catalog) -> None:
    other = open_catalog(tmp_path, "cd" * 32)
    catalog.put([entry("a", 1)])
    other.put([entry("b", 2)])
    with pytest.raises(FingerprintMismatchError):
        catalog.embedding("b")
    other.close()


def test_a_vector_names_the_variant_that_made_it(tmp_path: Path, catalog: Catalog) -> None:
    catalog.put([entry("a")])
    rows = execute(tmp_path, "SELECT fingerprint, precision FROM vectors")
    assert rows == [(FINGERPRINT, "float32")]


def test_the_identity_of_a_library_does_not_change(tmp_path: Path, catalog: Catalog) -> None:
    again = open_catalog(tmp_path)
    assert again.library == catalog.library
    assert len(catalog.library) == 32
    again.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    open_catalog(tmp_path).close()
    execute(tmp_path, f"UPDATE meta SET schema_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(LibraryError, match=f"schema {SCHEMA_VERSION + 1}"):
        open_catalog(tmp_path)


def test_a_database_without_a_catalogue_is_refused(tmp_path: Path) -> None:
    execute(tmp_path, "CREATE TABLE songs (name TEXT)")
    with pytest.raises(LibraryError, match="no catalogue"):
        open_catalog(tmp_path)


def test_the_tables_of_schema_2_do_not_change(catalog: Catalog) -> None:
    """Existing libraries are opened as they are; other tables need another schema version."""
    clip = {field.name for field in fields(ClipRecord)} - {"windows"}
    expected = {
        "meta": {"schema_version", "library", "revision", "token"},
        "writes": {"revision", "token"},
        "clips": {"seq", "revision", "checksum"} | clip,
        "vectors": {"seq", "fingerprint", "precision", "embedding", "checksum"},
        "windows": {"seq", "fingerprint", "number", "start_s", "end_s", "embedding", "checksum"},
        "unembedded": {"seq", "fingerprint", "revision"},
        "deletions": {"revision", "seq"},
        "damaged_audio": {"path", "fault"},
    }
    columns = catalog.database.query(
        "SELECT tables.name, columns.name FROM sqlite_schema AS tables"
        " JOIN pragma_table_info(tables.name) AS columns"
        " WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'"
    )
    found: dict[str, set[str]] = {}
    for table, column in columns:
        found.setdefault(table, set()).add(column)
    assert (SCHEMA_VERSION, found) == (2, expected)
