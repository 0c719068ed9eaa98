"""The catalogue: clips and their vectors in SQLite, the source of truth of a library.

Every write is one transaction, is on the disk before the call returns, and raises the revision by
one (`service.catalog.changes`).

The number of a clip, `seq`, is given once, is higher than all before it, and is never used again;
replacing a clip keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from uuid import uuid4

import numpy as np
import orjson
from jaxtyping import Float32, Int64

from service.catalog.changes import Changes, next_revision, read_changes, record_deletion
from service.catalog.database import Connection, Database
from service.catalog.filters import Filter
from service.catalog.records import (
    COLUMNS,
    COLUMNS_AND_WINDOWS,
    Written,
    read_record,
    write_record,
)
from service.catalog.vectors import (
    Embeddings,
    decode_embedding,
    read_spans,
    read_windows,
    write_vectors,
)
from service.clips import ClipRecord, Windows
from service.errors import ClipUnknownError, FingerprintMismatchError, LibraryError

SCHEMA_VERSION = 1

MAX_REVISION = (1 << 63) - 1

_ALL = Filter("TRUE", ())


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip to be written: its record, and its embeddings by the catalogue's encoder."""

    record: ClipRecord
    embeddings: Embeddings


class Catalog:
    """An open catalogue, for use by any number of threads.

    Args:
        path: The database file; made if there is none. Two processes must not make it at the same
            time.
        fingerprint: The encoder whose vectors are written and read.
        precision: Variant of that encoder that makes the vectors written here.

    Attributes:
        library: Identity of the library, made with the catalogue.
        database: The database that holds it.

    Raises:
        LibraryError: The file is not a catalogue, or was made by a newer version.
    """

    def __init__(self, path: Path, *, fingerprint: str, precision: str) -> None:
        self._fingerprint = fingerprint
        self._precision = precision
        schema = resources.files("service.catalog").joinpath("schema.sql").read_text("utf-8")
        identity = f"INSERT INTO meta VALUES ({SCHEMA_VERSION}, '{uuid4().hex}', 0);"
        self.database = Database(path, schema=schema + identity)
        self.library = self._check(path)

    def close(self) -> None:
        """Close the database; no call may be running or follow."""
        self.database.close()

    def put(self, entries: Sequence[Entry]) -> list[Written]:
        """Add clips or replace those of the same id, all or none, durably."""
        with self.database.transaction("write") as db:
            revision = next_revision(db)
            return [self._put(db, revision, entry) for entry in entries]

    def delete(self, clip_id: str) -> ClipRecord:
        """Remove a clip, durably, and return its record.

        Raises:
            ClipUnknownError: There is no clip of this id.
        """
        with self.database.transaction("write") as db:
            row = db.execute(
                f"DELETE FROM clips WHERE id = ? RETURNING seq, {COLUMNS}", (clip_id,)
            ).fetchone()
            if row is None:
                raise _unknown(clip_id)
            record_deletion(db, next_revision(db), row[0])
            return read_record(row[1:])

    def revision(self) -> int:
        """Return the number of writes so far."""
        return int(self.database.query("SELECT revision FROM meta")[0][0])

    def count(self) -> int:
        """Count the clips."""
        return int(self.database.query("SELECT count(*) FROM clips")[0][0])

    def n_vectors(self) -> int:
        """Count the vectors of our encoder: those of clips and of windows."""
        query = (
            "SELECT (SELECT count(*) FROM vectors WHERE fingerprint = ?1)"
            " + (SELECT count(*) FROM windows WHERE fingerprint = ?1)"
        )
        return int(self.database.query(query, self._fingerprint)[0][0])

    def get(self, clip_id: str) -> ClipRecord:
        """Return the record of a clip.

        Raises:
            ClipUnknownError: There is no clip of this id.
        """
        rows = self.database.query(
            f"SELECT {COLUMNS_AND_WINDOWS} FROM clips WHERE id = ?", self._fingerprint, clip_id
        )
        if not rows:
            raise _unknown(clip_id)
        return read_record(rows[0])

    def embedding(self, clip_id: str) -> Float32[np.ndarray, " dim"]:
        """Return the raw embedding of a clip, in the half precision in which it is kept.

        Raises:
            ClipUnknownError: There is no clip of this id.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        rows = self.database.query(
            "SELECT embedding FROM clips LEFT JOIN vectors"
            " ON vectors.seq = clips.seq AND fingerprint = ? WHERE id = ?",
            self._fingerprint,
            clip_id,
        )
        if not rows:
            raise _unknown(clip_id)
        if rows[0][0] is None:
            raise FingerprintMismatchError(
                f"clip {clip_id!r} was not embedded by encoder {self._fingerprint}"
            )
        return decode_embedding(rows[0][0])

    def windows(self, clip_id: str) -> Windows | None:
        """Return the raw embeddings of a clip over time; None if it has no windows.

        Raises:
            ClipUnknownError: There is no clip of this id.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        whole = self.embedding(clip_id)
        return read_windows(self.database, clip_id, whole, self._fingerprint)

    def spans(self, rows: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Return start and end of windows [s], by row; missing windows are left out."""
        return read_spans(self.database, rows, self._fingerprint)

    def seqs(self, ids: Iterable[str]) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips of these ids; unknown ids are ignored."""
        rows = self.database.query(
            "SELECT seq FROM clips WHERE id IN (SELECT value FROM json_each(?))", _json(ids)
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def page(self, after: int, limit: int, where: Filter | None) -> list[tuple[int, ClipRecord]]:
        """Return clips with a number above `after`, in order, with their numbers."""
        where = where or _ALL
        rows = self.database.query(
            f"SELECT seq, {COLUMNS_AND_WINDOWS} FROM clips WHERE seq > ? AND {where.where}"
            " ORDER BY seq LIMIT ?",
            *(self._fingerprint, after, *where.parameters, limit),
        )
        return [(row[0], read_record(row[1:])) for row in rows]

    def matching(self, where: Filter) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips that pass a filter."""
        rows = self.database.query(f"SELECT seq FROM clips WHERE {where.where}", *where.parameters)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def records(self, seqs: Iterable[int], *, until: int = MAX_REVISION) -> dict[int, ClipRecord]:
        """Return the records of clips by number; deleted clips are left out.

        Args:
            seqs: The numbers.
            until: Clips that were changed by a write after this revision are left out, too.
        """
        rows = self.database.query(
            f"SELECT seq, {COLUMNS_AND_WINDOWS} FROM clips"
            " WHERE seq IN (SELECT value FROM json_each(?)) AND revision <= ?",
            *(self._fingerprint, _json(seqs), until),
        )
        return {row[0]: read_record(row[1:]) for row in rows}

    def ids_by_content(self, sha256: str) -> tuple[str, ...]:
        """Return the ids of our encoder's clips whose audio has this SHA-256, oldest first."""
        rows = self.database.query(
            "SELECT id FROM clips JOIN vectors USING (seq)"
            " WHERE sha256 = ? AND fingerprint = ? ORDER BY seq",
            *(sha256, self._fingerprint),
        )
        return tuple(row[0] for row in rows)

    def stored_paths(self) -> set[str]:
        """Return the paths of all stored audio files, relative to the library."""
        return stored_paths(self.database)

    def is_stored(self, path: str) -> bool:
        """Tell whether any clip names this stored audio file."""
        return bool(
            self.database.query(
                "SELECT EXISTS (SELECT 1 FROM clips WHERE source = 'stored' AND path = ?)", path
            )[0][0]
        )

    @contextmanager
    def changes(self, since: int) -> Iterator[Changes]:
        """Context manager: yields the changes since a revision, in one read transaction."""
        with self.database.transaction("read") as db:
            yield read_changes(db, since, self._fingerprint)

    def _check(self, path: Path) -> str:
        """Return the identity of the library if this version can read its schema."""
        if not self.database.query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'"):
            self.database.close()
            raise LibraryError(f"{path} is a database but no catalogue of this service")
        version, library = self.database.query("SELECT schema_version, library FROM meta")[0]
        if version > SCHEMA_VERSION:
            self.database.close()
            raise LibraryError(
                f"{path} has schema {version}, made by a newer version; this one reads up to "
                f"schema {SCHEMA_VERSION}"
            )
        return str(library)

    def _put(self, db: Connection, revision: int, entry: Entry) -> Written:
        seq, written = write_record(db, revision, entry.record)
        db.execute("DELETE FROM vectors WHERE seq = ?", (seq,))
        encoder = {"fingerprint": self._fingerprint, "precision": self._precision}
        write_vectors(db, seq, entry.embeddings, **encoder)
        return written


def stored_paths(database: Database) -> set[str]:
    """Return the paths of all audio files that a catalogue stores, relative to the library."""
    return {row[0] for row in database.query("SELECT path FROM clips WHERE source = 'stored'")}


def _json(values: Iterable[object]) -> str:
    return orjson.dumps(list(values)).decode()


def _unknown(clip_id: str) -> ClipUnknownError:
    return ClipUnknownError(f"the library has no clip {clip_id!r:.140}")
