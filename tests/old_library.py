"""Libraries as older versions made them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_TO_SCHEMA_1 = (
    "DROP TABLE writes",
    "DROP TABLE damaged_audio",
    "ALTER TABLE meta DROP COLUMN token",
    "ALTER TABLE clips DROP COLUMN checksum",
    "ALTER TABLE vectors DROP COLUMN checksum",
    "ALTER TABLE windows DROP COLUMN checksum",
    "UPDATE meta SET schema_version = 1",
)


def make_schema_1(library: Path) -> None:
    """Turn the catalogue of a closed library into one of schema 1."""
    with closing(sqlite3.connect(library / "catalog.sqlite")) as db, db:
        for statement in _TO_SCHEMA_1:
            db.execute(statement)
