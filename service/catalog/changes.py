"""Versions of a catalogue, and the changes since one of them.

Every write raises the revision by one and draws a random token; both together are a `Version`. They
tell whether an index was made of this catalogue: an older copy that was put back, or a copy that
was written to elsewhere, can have the same revision but not the same token.

A clip carries the revision of its last change, and a deleted clip leaves its number in the table
`deletions`, so that an index at some version can read what changed since. Only the newest deletions
and tokens are kept: an index that is older than that has to be built again from all clips.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Int64

from service.catalog.checksums import vector_checksum, window_checksum
from service.catalog.database import Connection, Cursor
from service.row_ids import WINDOW_BITS

KEPT_DELETIONS = 100_000
"""Newest deletions that are kept: more than any index in use should have to catch up with."""
KEPT_WRITES = 100_000
"""Newest writes whose tokens are kept; an index of an older one is built again."""
PRUNE_EVERY = 1_000
"""Writes between two removals of older deletions and tokens."""

_BATCH_VECTORS = 1024
_ROW = f"(seq << {WINDOW_BITS})"
# Behind the row, with which checksum and embedding are checked: number, and what else is covered.
_OF_VECTOR = ", 0, precision, NULL, embedding, vectors.checksum"
_OF_WINDOW = ", number, start_s, end_s, embedding, windows.checksum"


class Version(NamedTuple):
    """A state of a catalogue.

    Attributes:
        revision: Number of writes that led to it; 0 is the empty catalogue.
        token: Random number of the last of them.
    """

    revision: int
    token: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of the clips and vectors of one encoder, as of one moment.

    Attributes:
        since: Revision that the changes start from: the requested one, or 0 if it was none of this
            catalogue or deletions after it are no longer known. From 0, the changes are all clips
            there are.
        version: The version that the changes lead to.
        removed: Numbers of the clips that were deleted, or that were replaced with a vector of
            another encoder only.
        rows: Rows of the clips that were put and of their windows, see `service.row_ids`.
        batches: The same rows with their raw embeddings [rows, dim], a batch at a time; damaged
            ones are left out.
        damaged: The rows that were left out so far.
    """

    since: int
    version: Version
    removed: Int64[np.ndarray, " clips"]
    rows: Int64[np.ndarray, " rows"]
    batches: Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]
    damaged: list[int]


def next_revision(db: Connection) -> int:
    """Raise the revision by one, inside the transaction of a write, and return it."""
    token = secrets.randbits(63)
    row = db.execute(
        "UPDATE meta SET revision = revision + 1, token = ? RETURNING revision", (token,)
    ).fetchone()
    revision = int(row[0])
    db.execute("INSERT INTO writes VALUES (?, ?)", (revision, token))
    if revision % PRUNE_EVERY == 0:
        _prune_deletions(db)
        db.execute("DELETE FROM writes WHERE revision <= ?", (revision - KEPT_WRITES,))
    return revision


def read_version(db: Connection) -> Version:
    """Return the present version."""
    return Version(*db.execute("SELECT revision, token FROM meta").fetchone())


def is_known(db: Connection, version: Version) -> bool:
    """Tell whether this catalogue had a version; of an old one, that is no longer known."""
    query = "SELECT 1 FROM writes WHERE revision = ? AND token = ?"
    return version.revision == 0 or db.execute(query, version).fetchone() is not None


def record_deletion(db: Connection, revision: int, seq: int) -> None:
    """Note that the write of this revision deleted a clip."""
    db.execute("INSERT INTO deletions VALUES (?, ?)", (revision, seq))


def read_changes(db: Connection, since: Version, fingerprint: str) -> Changes:
    """Read the changes since a version; the batches are read while the transaction lasts."""
    first = since.revision
    if first < _pruned_revision(db) or not is_known(db, since):
        first = 0
    # All clips are read from the table alone: an index that is damaged hides none of them.
    changed = "clips.revision > ?1" if first else "?1 = 0"
    removed = db.execute(
        "SELECT seq FROM deletions WHERE revision > ?1 AND seq > 0"
        f" UNION ALL SELECT seq FROM clips WHERE {changed} AND NOT EXISTS"
        " (SELECT 1 FROM vectors WHERE vectors.seq = clips.seq AND fingerprint = ?2)",
        (first, fingerprint),
    )
    rows, put = (
        db.execute(
            f"SELECT {_ROW}{of_vector} FROM clips JOIN vectors USING (seq)"
            f" WHERE {changed} AND fingerprint = ?2"
            f" UNION ALL SELECT {_ROW} | ifnull(number, 0){of_window}"
            " FROM clips JOIN windows USING (seq)"
            f" WHERE {changed} AND fingerprint = ?2",
            (first, fingerprint),
        )
        for of_vector, of_window in (("", ""), (_OF_VECTOR, _OF_WINDOW))
    )
    damaged: list[int] = []
    return Changes(
        first,
        read_version(db),
        _numbers(removed),
        _numbers(rows),
        _batches(put, fingerprint, damaged),
        damaged,
    )


def _prune_deletions(db: Connection) -> None:
    """Remove all but the newest deletions, and record up to which revision they were removed."""
    newest_removed = db.execute(
        "SELECT revision FROM deletions WHERE seq > 0 ORDER BY revision DESC LIMIT 1 OFFSET ?",
        (KEPT_DELETIONS,),
    ).fetchone()
    if newest_removed is not None:
        db.execute("DELETE FROM deletions WHERE revision <= ?", newest_removed)
        record_deletion(db, newest_removed[0], 0)


def _pruned_revision(db: Connection) -> int:
    """Return the revision up to which deletions were removed; 0 if none were."""
    oldest = db.execute("SELECT revision, seq FROM deletions ORDER BY 1, 2 LIMIT 1").fetchone()
    return int(oldest[0]) if oldest and oldest[1] == 0 else 0


def _numbers(rows: Cursor) -> Int64[np.ndarray, " numbers"]:
    return np.fromiter((row[0] for row in rows), np.int64)


def _batches(
    rows: Cursor, fingerprint: str, damaged: list[int]
) -> Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]:
    """Yield rows with their embeddings; those whose checksum differs go to `damaged`."""
    while batch := rows.fetchmany(_BATCH_VECTORS):
        numbers, embeddings = [], []
        for row, number, first, second, embedding, checksum in batch:
            seq = row >> WINDOW_BITS
            if number:
                found = window_checksum(seq, fingerprint, number, first, second, embedding)
            else:
                found = vector_checksum(seq, fingerprint, first, embedding)
            if found == checksum:
                numbers.append(row)
                embeddings.append(embedding)
            else:
                damaged.append(row)
        if numbers:
            values = np.frombuffer(b"".join(embeddings), "<f2")
            yield np.array(numbers, np.int64), values.reshape(len(numbers), -1)
