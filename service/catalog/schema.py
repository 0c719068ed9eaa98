"""The tables of a catalogue: made anew, and brought up to date where an older version made them."""

from __future__ import annotations

import logging
import secrets
from importlib import resources
from pathlib import Path
from uuid import uuid4

from service.catalog.checksums import add_functions
from service.catalog.database import Connection, Database
from service.catalog.records import NAMES
from service.errors import LibraryError

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


def creation_script() -> str:
    """Return the SQL that makes the tables of a new library, with an identity of its own."""
    schema = resources.files("service.catalog").joinpath("schema.sql").read_text("utf-8")
    return f"{schema} INSERT INTO meta VALUES ({SCHEMA_VERSION}, '{uuid4().hex}', 0, 0);"


def bring_up_to_date(database: Database, path: Path) -> str:
    """Upgrade the tables if an older version made them, and return the identity of the library.

    The upgrade is one transaction: after a crash the old tables are there, and the next call
    upgrades them. It takes as much room on the disk as the catalogue has.

    Args:
        database: The catalogue.
        path: Its file, for messages.

    Raises:
        LibraryError: It is no catalogue, or a newer version made it.
    """
    if not database.query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'"):
        raise LibraryError(f"{path} is a database but no catalogue of this service")
    version, library = database.query("SELECT schema_version, library FROM meta")[0]
    if version > SCHEMA_VERSION:
        raise LibraryError(
            f"{path} has schema {version}, made by a newer version; this one reads up to "
            f"schema {SCHEMA_VERSION}"
        )
    if version < SCHEMA_VERSION:
        with database.transaction("write") as db:
            _upgrade(db)
        _LOGGER.info(
            "upgraded %s from schema %d to %d, with checksums of its content as it is now",
            path,
            version,
            SCHEMA_VERSION,
        )
    return str(library)


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
