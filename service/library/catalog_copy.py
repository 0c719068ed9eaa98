"""Copies of a catalogue that may be in use."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from service.catalog.database import Database


def copy_catalog(path: Path, target: Path) -> None:
    """Copy a catalogue that may be in use, as it is at one moment.

    Raises:
        LibraryError: It cannot be read.
    """
    with closing(Database(path, schema="")) as db:
        db.copy_to(target)


def stored_audio(path: Path) -> list[str]:
    """Return the names of the audio files that the catalogue in a file keeps.

    Raises:
        LibraryError: The file is no catalogue.
    """
    with closing(Database(path, schema="")) as db:
        rows = db.query("SELECT DISTINCT path FROM clips WHERE source = 'stored' ORDER BY path")
    return [row[0] for row in rows]
