"""The catalogue: clips and their vectors in SQLite, the source of truth of a library.

Every write is one transaction, is on the disk before the call returns, and raises the revision by
one (`service.catalog.changes`).

The number of a clip, `seq`, is given once, is higher than all before it, and is never used again;
replacing a clip keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float32, Int64

from service.catalog.changes import (
    Changes,
    Version,
    is_known,
    next_revision,
    read_changes,
    record_deletion,
)
from service.catalog.damage import Damage, Part, clip_names
from service.catalog.database import Connection, Database
from service.catalog.filters import Filter
from service.catalog.integrity import damaged_audio
from service.catalog.records import (
    BY_ID,
    COLUMNS,
    COLUMNS_AND_WINDOWS,
    Written,
    check_found,
    read_record,
    write_record,
)
from service.catalog.schema import bring_up_to_date, creation_script
from service.catalog.vectors import Entry, read_spans, read_vector, read_windows, write_vectors
from service.clips import ClipRecord, Windows
from service.concurrency.deadline import check_deadline
from service.concurrency.deadline_semaphore import DeadlineSemaphore
from service.errors import ClipDamagedError, ClipUnknownError, FingerprintMismatchError

MAX_SCANS = 2
"""Filters that are applied to all clips at the same time; others wait."""

MAX_REVISION = (1 << 63) - 1

_ALL = Filter("TRUE", ())


class Catalog:
    """An open catalogue, for use by any number of threads.

    Args:
        path: The database file; upgraded if an older version made it. Two processes must not do
            that at the same time.
        fingerprint: The encoder whose vectors are written and read.
        precision: Variant of that encoder that makes the vectors written here.
        create: Make the catalogue if there is none, in one transaction. Two processes must not do
            that at the same time.

    Attributes:
        library: Identity of the library, made with the catalogue.
        database: The database that holds it.
        damage: The damaged parts that were found.

    Raises:
        LibraryError: The file is not a catalogue, or was made by a newer version. Reads of many
            clips and writes raise a `DeadlineError` or `ClientDisconnectedError` when the request
            is over; nothing was written then.
    """

    def __init__(
        self, path: Path, *, fingerprint: str, precision: str, create: bool = True
    ) -> None:
        self._fingerprint = fingerprint
        self._precision = precision
        self._scans = DeadlineSemaphore(MAX_SCANS)
        self.damage = Damage()
        self.database = Database(path, schema=creation_script() if create else "")
        try:
            self.library = bring_up_to_date(self.database, path)
        except BaseException:
            self.database.close()
            raise

    def close(self) -> None:
        """Close the database; no call may be running or follow."""
        self.database.close()

    def put(self, entries: Sequence[Entry]) -> list[Written]:
        """Add clips or replace those of the same id, all or none, durably.

        Raises:
            StorageFullError: There is no room; nothing was written.
            StorageUnavailableError: The disk cannot be written now; nothing was written.
        """
        with self.database.transaction("write") as db:
            revision = next_revision(db)
            written = []
            for entry in entries:
                check_deadline()
                written.append(self._put(db, revision, entry))
        self.damage.forget(entry.record.id for entry in entries)
        return written

    def delete(self, clip_id: str) -> ClipRecord | None:
        """Remove a clip, durably, and return its record; None if that is damaged.

        Raises:
            ClipUnknownError: There is no clip of this id.
        """
        with self.database.transaction("write") as db:
            found = f"SELECT seq, {COLUMNS} FROM clips WHERE {BY_ID}"
            row = db.execute(found, (clip_id,)).fetchone()
            if row is None:
                raise _unknown(clip_id)
            record = read_record(row[1:])
            check_found(record, clip_id)
            db.execute("DELETE FROM clips WHERE seq = ?", row[:1])
            record_deletion(db, next_revision(db), row[0])
        self.damage.forget([clip_id])
        return record

    def revision(self) -> int:
        """Return the number of writes so far."""
        return self.version().revision

    def version(self) -> Version:
        """Return the present version: revision, and token of the last write."""
        return Version(*self.database.query("SELECT revision, token FROM meta")[0])

    def knows(self, version: Version) -> bool:
        """Tell whether this catalogue had a version, see `service.catalog.changes`."""
        with self.database.transaction("read") as db:
            return is_known(db, version)

    def count(self) -> int:
        """Count the clips."""
        return int(self.database.query("SELECT count(*) FROM clips")[0][0])

    def count_damaged(self) -> dict[Part, int]:
        """Count the damaged parts that this process has found, and the audio marked by any."""
        return {**self.damage.counts(), "audio": len(damaged_audio(self.database))}

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
            ClipDamagedError: Its record is damaged.
        """
        rows = self.database.query(
            f"SELECT {COLUMNS_AND_WINDOWS} FROM clips WHERE {BY_ID}", self._fingerprint, clip_id
        )
        if not rows:
            raise _unknown(clip_id)
        record = read_record(rows[0])
        check_found(record, clip_id)
        if record is None:
            self.damage.note("record", [clip_id])
            raise ClipDamagedError(f"the record of clip {clip_id!r} is damaged; put the clip again")
        return record

    def embedding(self, clip_id: str) -> Float32[np.ndarray, " dim"]:
        """Return the raw embedding of a clip, in the half precision in which it is kept.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipDamagedError: The embedding is damaged.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        embedding = read_vector(self.database, clip_id, self._fingerprint)
        if embedding is None:
            raise FingerprintMismatchError(
                f"clip {clip_id!r} was not embedded by encoder {self._fingerprint}"
            )
        return embedding

    def windows(self, clip_id: str) -> Windows | None:
        """Return the raw embeddings of a clip over time; None if it has no windows.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipDamagedError: One of the embeddings is damaged.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        whole = self.embedding(clip_id)
        return read_windows(self.database, clip_id, whole, self._fingerprint)

    def spans(self, rows: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Return start and end of windows [s], by row; missing and damaged ones are left out."""
        return read_spans(self.database, rows, self._fingerprint)

    def seqs(self, ids: Iterable[str]) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips of these ids; unknown ids are ignored."""
        rows = self.database.query(
            "SELECT seq FROM clips WHERE id IN (SELECT value FROM json_each(?))", _json(ids)
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def page(
        self, after: int, limit: int, where: Filter | None
    ) -> list[tuple[int, ClipRecord | None]]:
        """Return clips with a number above `after`, in order, with their numbers.

        The record of a damaged one is None.
        """
        condition = where or _ALL
        with nullcontext() if where is None else self._scans.slot():
            rows = self.database.query(
                f"SELECT seq, {COLUMNS_AND_WINDOWS} FROM clips"
                f" WHERE seq > ? AND {_tested(condition)} ORDER BY seq LIMIT ?",
                *(self._fingerprint, after, *condition.parameters, limit),
                passes=condition.passes,
            )
        return list(self._checked(rows).items())

    def matching(self, where: Filter) -> Int64[np.ndarray, " clips"]:
        """Return the numbers of the clips that pass a filter."""
        query = f"SELECT seq FROM clips WHERE {_tested(where)}"
        with self._scans.slot():
            rows = self.database.query(query, *where.parameters, passes=where.passes)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def records(self, seqs: Iterable[int], *, until: int = MAX_REVISION) -> dict[int, ClipRecord]:
        """Return the records of clips by number; deleted and damaged ones are left out.

        Args:
            seqs: The numbers.
            until: Clips that were changed by a write after this revision are left out, too.
        """
        rows = self.database.query(
            f"SELECT seq, {COLUMNS_AND_WINDOWS} FROM clips"
            " WHERE seq IN (SELECT value FROM json_each(?)) AND revision <= ?",
            *(self._fingerprint, _json(seqs), until),
        )
        return {seq: record for seq, record in self._checked(rows).items() if record}

    def ids_by_content(self, sha256: str) -> tuple[str, ...]:
        """Return the ids of our encoder's clips whose audio has this SHA-256, oldest first."""
        rows = self.database.query(
            "SELECT id FROM clips JOIN vectors USING (seq)"
            " WHERE sha256 = ? AND fingerprint = ? ORDER BY seq",
            *(sha256, self._fingerprint),
        )
        return tuple(row[0] for row in rows)

    @contextmanager
    def changes(self, since: Version) -> Iterator[Changes]:
        """Context manager: yields the changes since a version, in one read transaction."""
        with self.database.transaction("read") as db:
            changes = read_changes(db, since, self._fingerprint)
            yield changes
        self.damage.note_rows(self.database, changes.damaged)

    def _put(self, db: Connection, revision: int, entry: Entry) -> Written:
        seq, written = write_record(db, revision, entry.record)
        db.execute("DELETE FROM vectors WHERE seq = ?", (seq,))
        db.execute("DELETE FROM damaged_audio WHERE path = ?", (entry.record.path,))
        encoder = {"fingerprint": self._fingerprint, "precision": self._precision}
        write_vectors(db, seq, entry.embeddings, **encoder)
        return written

    def _checked(self, rows: Iterable[Sequence[Any]]) -> dict[int, ClipRecord | None]:
        """Return records by number, of rows of both; damaged ones are noted, and None."""
        found = {row[0]: read_record(row[1:]) for row in rows}
        if damaged := [seq for seq, record in found.items() if record is None]:
            self.damage.note("record", clip_names(self.database, damaged))
        return found


def _tested(where: Filter) -> str:
    """Return the condition of a filter, which no clip with damaged metadata passes."""
    return f"CASE WHEN json_valid(clips.metadata) THEN {where.where} ELSE FALSE END"


def _json(values: Iterable[object]) -> str:
    return orjson.dumps(list(values)).decode()


def _unknown(clip_id: str) -> ClipUnknownError:
    return ClipUnknownError(f"the library has no clip {clip_id!r:.140}")
