"""The catalogue: clips and their vectors in SQLite. It is the truth of a library.

Every write is one transaction that is on the disk before it returns, and raises the revision by
one. Clips carry the revision that last changed them and deletions leave their number behind, so
that whoever knows the catalogue at some revision can ask for what happened since.

A clip's number `seq` is given once, grows, and is never used again; replacing a clip keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from jaxtyping import Float32, Int64

from service.catalog.database import Connection, Database
from service.catalog.filters import Filter
from service.catalog.vectors import (
    WINDOWS_OF_CLIP,
    Changes,
    Embeddings,
    add_windows,
    read_changes,
    read_spans,
    read_windows,
    write_vectors,
)
from service.clips import ClipRecord, Windows
from service.errors import ClipUnknownError, FingerprintMismatchError, LibraryError

SCHEMA_VERSION = 1

_ALL = Filter("TRUE", ())
_NAMES = tuple(field.name for field in fields(ClipRecord) if field.name != "windows")
_COLUMNS = ", ".join(_NAMES)
_ABOUT = f"{_COLUMNS}, {WINDOWS_OF_CLIP}"
"""What a record is made of; its one parameter is the encoder whose windows count."""
_UPSERT = (
    f"INSERT INTO clips (revision, {_COLUMNS}) VALUES (?{', ?' * len(_NAMES)})"
    " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES)
    + " RETURNING seq"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip to be written: its record, and what our encoder made of it."""

    record: ClipRecord
    embeddings: Embeddings


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the record now, and the record it replaced, if any."""

    record: ClipRecord
    previous: ClipRecord | None


class Catalog:
    """An open catalogue, for any number of threads.

    Args:
        path: The database file; made if it is not there. Two processes must not make it at once.
        fingerprint: The encoder whose vectors are written and read.
        precision: The variant of it that makes the vectors written here.

    Attributes:
        library: Identity of the library, made with the catalogue.
        database: Where it is kept.

    Raises:
        LibraryError: The file is no catalogue, or of a newer version.
    """

    def __init__(self, path: Path, *, fingerprint: str, precision: str) -> None:
        self._fingerprint = fingerprint
        self._precision = precision
        schema = resources.files("service.catalog").joinpath("schema.sql").read_text("utf-8")
        identity = f"INSERT INTO meta VALUES ({SCHEMA_VERSION}, '{uuid4().hex}', 0);"
        self.database = Database(path, schema=schema + identity)
        self.library = self._check(path)
        add_windows(self.database)

    def close(self) -> None:
        """Close the database; no call may be under way or follow."""
        self.database.close()

    def put(self, entries: Sequence[Entry]) -> list[Written]:
        """Add clips or replace those of the same id, all or none, durably."""
        with self.database.transaction("write") as db:
            revision = raise_revision(db)
            return [self._put(db, revision, entry) for entry in entries]

    def delete(self, clip_id: str) -> ClipRecord:
        """Remove a clip, durably, and return what its record was.

        Raises:
            ClipUnknownError: There is none of this id.
        """
        with self.database.transaction("write") as db:
            row = db.execute(
                f"DELETE FROM clips WHERE id = ? RETURNING seq, {_COLUMNS}", (clip_id,)
            ).fetchone()
            if row is None:
                raise _unknown(clip_id)
            db.execute("INSERT INTO deletions VALUES (?, ?)", (raise_revision(db), row[0]))
            return _record(row[1:])

    def revision(self) -> int:
        """Number of writes so far."""
        return int(self.database.query("SELECT revision FROM meta")[0][0])

    def count(self) -> int:
        """Number of clips."""
        return int(self.database.query("SELECT count(*) FROM clips")[0][0])

    def get(self, clip_id: str) -> ClipRecord:
        """Return the record of a clip.

        Raises:
            ClipUnknownError: There is none of this id.
        """
        rows = self.database.query(
            f"SELECT {_ABOUT} FROM clips WHERE id = ?", self._fingerprint, clip_id
        )
        if not rows:
            raise _unknown(clip_id)
        return _record(rows[0])

    def embedding(self, clip_id: str) -> Float32[np.ndarray, " dim"]:
        """Return the raw embedding of a clip.

        Raises:
            ClipUnknownError: There is none of this id.
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
        return np.frombuffer(rows[0][0], "<f2").astype(np.float32)

    def windows(self, clip_id: str) -> Windows | None:
        """Return the raw embeddings of a clip over time, None if it has no windows.

        Raises:
            ClipUnknownError: There is none of this id.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        whole = self.embedding(clip_id)
        found = read_windows(self.database, clip_id, self._fingerprint)
        if not found:
            return None
        starts_s, ends_s, embeddings = zip(*found, strict=True)
        rows = np.frombuffer(b"".join(embeddings), "<f2").astype(np.float32)
        times = np.array(starts_s), np.array(ends_s)
        return Windows(whole, rows.reshape(len(found), -1), *times)

    def spans(self, rows: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Return where windows begin and end [s], by row; those that are gone are left out."""
        return read_spans(self.database, rows, self._fingerprint)

    def seqs(self, ids: Iterable[str]) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips of these ids; unknown ones are passed over."""
        rows = self.database.query(
            "SELECT seq FROM clips WHERE id IN (SELECT value FROM json_each(?))", _json(list(ids))
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def page(self, after: int, limit: int, where: Filter | None) -> list[tuple[int, ClipRecord]]:
        """Return clips of a number above `after` in their order, with their numbers."""
        where = where or _ALL
        rows = self.database.query(
            f"SELECT seq, {_ABOUT} FROM clips WHERE seq > ? AND {where.where} ORDER BY seq LIMIT ?",
            *(self._fingerprint, after, *where.parameters, limit),
        )
        return [(row[0], _record(row[1:])) for row in rows]

    def matching(self, where: Filter) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips that pass a filter."""
        rows = self.database.query(f"SELECT seq FROM clips WHERE {where.where}", *where.parameters)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def records(self, seqs: Iterable[int]) -> dict[int, ClipRecord]:
        """Return the records of clips by number; those that are gone are left out."""
        rows = self.database.query(
            f"SELECT seq, {_ABOUT} FROM clips WHERE seq IN (SELECT value FROM json_each(?))",
            *(self._fingerprint, _json(list(seqs))),
        )
        return {row[0]: _record(row[1:]) for row in rows}

    def ids_by_content(self, sha256: str) -> tuple[str, ...]:
        """Return the ids of our encoder's clips whose audio has this digest, oldest first."""
        rows = self.database.query(
            "SELECT id FROM clips JOIN vectors USING (seq)"
            " WHERE sha256 = ? AND fingerprint = ? ORDER BY seq",
            *(sha256, self._fingerprint),
        )
        return tuple(row[0] for row in rows)

    def stored_paths(self) -> set[str]:
        """Return the names of all audio files that the library keeps."""
        return {
            row[0] for row in self.database.query("SELECT path FROM clips WHERE source = 'stored'")
        }

    def is_stored(self, path: str) -> bool:
        """Tell whether a clip needs this audio file of the library."""
        return bool(
            self.database.query(
                "SELECT EXISTS (SELECT 1 FROM clips WHERE source = 'stored' AND path = ?)", path
            )[0][0]
        )

    @contextmanager
    def changes(self, since: int) -> Iterator[Changes]:
        """Give what happened since a revision, as of one moment while the context lasts."""
        with self.database.transaction("read") as db:
            yield read_changes(db, since, self._fingerprint)

    def _check(self, path: Path) -> str:
        """Return the library's identity if this version reads its schema."""
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
        row = db.execute(
            f"SELECT {_COLUMNS} FROM clips WHERE id = ?", (entry.record.id,)
        ).fetchone()
        previous = row and _record(row)
        record = replace(entry.record, created_at=previous.created_at) if previous else entry.record
        values = (getattr(record, name) for name in _NAMES)
        seq = db.execute(
            _UPSERT,
            (revision, *(_json(value) if isinstance(value, dict) else value for value in values)),
        ).fetchone()[0]
        db.execute("DELETE FROM vectors WHERE seq = ?", (seq,))
        encoder = {"fingerprint": self._fingerprint, "precision": self._precision}
        write_vectors(db, seq, entry.embeddings, **encoder)
        return Written(record, previous)


def raise_revision(db: Connection) -> int:
    """Count a write, inside its transaction, and return its revision."""
    row = db.execute("UPDATE meta SET revision = revision + 1 RETURNING revision").fetchone()
    return int(row[0])


def _record(row: Sequence[Any]) -> ClipRecord:
    """Make a record of the columns of `_ABOUT`, or of `_COLUMNS` where no windows count."""
    values = dict(zip((*_NAMES, "windows"), row, strict=False))
    return ClipRecord(**values | {"metadata": orjson.loads(values["metadata"])})


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _unknown(clip_id: str) -> ClipUnknownError:
    return ClipUnknownError(f"the library has no clip {clip_id!r:.140}")
