"""Names of stored audio files: `audio/<2 hex>/<sha256><extension>`, relative to the library.

A catalogue may be damaged, or restored from a backup of somebody else. A path that it holds is
therefore opened, linked or removed only if it has this form and names the digest of its clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from service.catalog.database import Database

_NAME = re.compile(r"audio/([0-9a-f]{2})/(\1[0-9a-f]{62})(\.[A-Za-z0-9]{1,16})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9]{1,16})?")


def stored_name(sha256: str, extension: str) -> str:
    """Return the name of a stored audio file.

    Raises:
        ValueError: The digest or the extension could not name a file.
    """
    if not _DIGEST.fullmatch(sha256) or not _EXTENSION.fullmatch(extension):
        raise ValueError(f"no file can be named {sha256!r} + {extension!r}")
    return f"audio/{sha256[:2]}/{sha256}{extension}"


def digest_of(name: str) -> str | None:
    """Return the digest in the name of a stored file; None if no stored file has such a name."""
    match = _NAME.fullmatch(name)
    return match and match.group(2)


def is_name_of(name: str, sha256: str | None) -> bool:
    """Tell whether this is the name of the stored file with this digest."""
    return sha256 is not None and digest_of(name) == sha256


def stored_files(folder: Path) -> Iterator[str]:
    """Yield the names of the audio files of a library, or of a folder in its quarantine.

    Files that no library makes are left out.
    """
    for path in folder.glob("audio/*/*"):
        name = path.relative_to(folder).as_posix()
        if digest_of(name) is not None and path.is_file():
            yield name


def stored_paths(database: Database) -> set[str]:
    """Return the paths of all audio files that a catalogue stores, relative to the library.

    They are read from the table and from an index of it: a damaged one of the two must not make a
    file look unused.
    """
    with database.transaction("read") as db:
        return {
            path
            for source in ("clips NOT INDEXED", "clips INDEXED BY clips_by_file")
            for (path,) in db.execute(f"SELECT path FROM {source} WHERE source = 'stored'")
            if path is not None
        }


def is_stored(database: Database, path: str, sha256: str) -> bool:
    """Tell whether any clip stores this audio, by two indexes as in `stored_paths`.

    Args:
        database: The catalogue.
        path: Path of the file, relative to the library.
        sha256: Digest of the file.
    """
    query = (
        "SELECT EXISTS (SELECT 1 FROM clips INDEXED BY clips_by_file"
        " WHERE source = 'stored' AND path = ?) OR EXISTS (SELECT 1 FROM clips"
        " INDEXED BY clips_by_content WHERE sha256 = ? AND source = 'stored')"
    )
    return bool(database.query(query, path, sha256)[0][0])
