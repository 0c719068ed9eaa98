"""Deletion of the files in the quarantine of a library, on request only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.catalog.database import Database
from service.catalog.inspection import faults_reported
from service.catalog.quarantine import DatedFolder, Quarantine
from service.catalog.stored_names import stored_paths
from service.concurrency.locks import file_lock
from service.library.opening import CATALOG, LOCK, prepare_folder


def quarantined(library: Path, *, older_than: timedelta = timedelta()) -> list[DatedFolder]:
    """Return the folders of a library's quarantine, the oldest first.

    Args:
        library: Folder of the library.
        older_than: Least time since their files were moved there.

    Raises:
        LibraryError: There is no library; without a catalogue, the quarantine may hold the only
            copy of its sounds.
    """
    prepare_folder(library)
    latest = datetime.now(UTC) - older_than
    return [folder for folder in Quarantine(library).folders() if folder.moved_at <= latest]


def delete(library: Path, folders: Sequence[DatedFolder]) -> int:
    """Delete folders of the quarantine, except for files that a clip names.

    Those are moved to their places first: the library may have got its newer catalogue back.

    Args:
        library: Folder of the library; a service may have it open.
        folders: Folders of its quarantine.

    Returns:
        Number of files that were moved to their places.

    Raises:
        LibraryError: The catalogue cannot be read. Nothing is deleted.
        OSError: A file cannot be moved or deleted.
    """
    with file_lock(library / LOCK):
        file = library / CATALOG
        with faults_reported(file), closing(Database(file, schema="")) as catalog:
            named = stored_paths(catalog)
        n_returned = Quarantine(library).give_back(named)
        for folder in folders:
            if folder.path.exists():
                folder.remove()
    return n_returned
