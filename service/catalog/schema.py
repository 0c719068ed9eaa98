"""The tables of a catalogue: made anew, and brought up to date where an older version made them."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path
from uuid import uuid4

from service.catalog.audio_store import is_in_use
from service.catalog.changes import next_revision
from service.catalog.checksums import add_functions
from service.catalog.database import Connection, Database
from service.catalog.records import NAMES
from service.errors import LibraryDamagedError, LibraryError

SCHEMA_VERSION = 2

_LOGGER = logging.getLogger(__name__)
_FROM_1_TO_2 = (
    "ALTER TABLE meta ADD COLUMN token INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE writes (revision INTEGER PRIMARY KEY, token INTEGER NOT NULL) STRICT",
    "CREATE TABLE damaged_audio (path TEXT PRIMARY KEY, fault TEXT NOT NULL) STRICT, WITHOUT ROWID",
    *(
        f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1"
        for table in ("clips", "vectors", "windows")
    ),
    f"UPDATE clips SET checksum = record_checksum({', '.join(NAMES)})",
    "UPDATE vectors SET checksum = vector_checksum(seq, fingerprint, precision, embedding)",
    "UPDATE windows SET checksum ="
    " window_checksum(seq, fingerprint, number, start_s, end_s, embedding)",
)

_COLUMNS = (
    'SELECT item.name, part.name, part.type, part."notnull", part.pk FROM sqlite_schema AS item'
    " JOIN pragma_table_info(item.name) AS part WHERE item.type = 'table'"
    " AND item.name NOT LIKE 'sqlite_%'"
    " UNION SELECT item.name, part.name, item.tbl_name, NULL, part.seqno FROM sqlite_schema AS item"
    " JOIN pragma_index_info(item.name) AS part WHERE item.type = 'index'"
)


def creation_script() -> str:
    """Return the SQL that makes the tables of a new library, with an identity of its own."""
    schema = resources.files("service.catalog").joinpath("schema.sql").read_text("utf-8")
    return f"{schema} INSERT INTO meta VALUES ({SCHEMA_VERSION}, '{uuid4().hex}', 0, 0);"


def bring_up_to_date(database: Database, path: Path) -> str:
    """Upgrade the tables if an older version made them, and return the identity of the library.

    Tables that are not as a new library has them are damaged. A revision that is not that of the
    last write is damaged, too, and is replaced by a new one.

    An older version could not write to upgraded tables, so they are not upgraded while a process
    has the library open. The upgrade is one transaction: after a crash the old tables are there,
    and the next call upgrades them. It takes as much room on the disk as the catalogue has.

    Args:
        database: The catalogue.
        path: Its file, in the folder of its library.

    Raises:
        LibraryError: It is no catalogue, a newer version made it, or it cannot be upgraded now.
    """
    try:
        library = _check_version(database, path)
        if differing := sorted(map(str, set(database.query(_COLUMNS)) ^ _expected_columns())):
            raise LibraryDamagedError(
                f"{path.name} is damaged: its tables are not those of schema {SCHEMA_VERSION}:"
                f" {differing[0]}. Restore a backup"
            )
        if not _has_true_version(database):
            _LOGGER.error("the revision of %s is damaged: a new one is stored", path)
            _store_new_version(database)
    except sqlite3.Error as err:
        raise LibraryError(
            f"{path} cannot be used as a catalogue: {err}. If it was one, it is damaged: restore a"
            " backup"
        ) from err
    return library


def _check_version(database: Database, path: Path) -> str:
    """Upgrade the tables of an older version, and return the identity of the library."""
    if not database.query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'"):
        raise LibraryError(f"{path} is a database but no catalogue of this service")
    rows = database.query("SELECT schema_version, library FROM meta")
    version = rows[0][0] if len(rows) == 1 else None
    if not isinstance(version, int) or version < 1:
        raise LibraryDamagedError(
            f"{path.name} is damaged: its schema is {version!r}. Restore a backup"
        )
    if version > SCHEMA_VERSION:
        raise LibraryError(
            f"{path} has schema {version}, made by a newer version; this one reads up to "
            f"schema {SCHEMA_VERSION}"
        )
    if version < SCHEMA_VERSION:
        if is_in_use(path.parent):
            raise LibraryError(
                f"{path} has schema {version}, and a process that is running has it open, which may"
                f" not know schema {SCHEMA_VERSION}: stop it, then try again"
            )
        with database.transaction("write") as db:
            _upgrade(db)
        _LOGGER.info(
            "upgraded %s from schema %d to %d, with checksums of its content as it is now",
            path,
            version,
            SCHEMA_VERSION,
        )
    return str(rows[0][1])


def _expected_columns() -> set[tuple[object, ...]]:
    """Return the columns of the tables and indexes of a new library."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(creation_script())
        return set(db.execute(_COLUMNS).fetchall())


def _has_true_version(database: Database) -> bool:
    """Tell whether the present version is the last one in the table of writes."""
    last = "SELECT revision, token FROM writes ORDER BY revision DESC LIMIT 1"
    return bool(
        database.query(
            f"SELECT 1 FROM meta WHERE (revision, token) = ({last})"
            " OR revision = 0 AND NOT EXISTS (SELECT 1 FROM writes)"
        )
    )


def _store_new_version(database: Database) -> None:
    """Count a write after all that are known, so that indexes of each of them catch up."""
    last = "SELECT max(revision) FROM writes"
    with database.transaction("write") as db:
        db.execute(f"UPDATE meta SET revision = max(revision, ifnull(({last}), 0))")
        next_revision(db)


def _upgrade(db: Connection) -> None:
    # Another process may have done it while this one waited for the lock of the writer.
    (version,) = db.execute("SELECT schema_version FROM meta").fetchone()
    if version == SCHEMA_VERSION:
        return
    add_functions(db)
    for statement in _FROM_1_TO_2:
        db.execute(statement)
    token = secrets.randbits(63)
    db.execute("UPDATE meta SET schema_version = ?, token = ?", (SCHEMA_VERSION, token))
    db.execute("INSERT INTO writes SELECT revision, token FROM meta")
