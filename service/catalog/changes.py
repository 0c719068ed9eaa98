"""Revisions of a catalogue, and the changes since one of them.

Every write raises the revision by one. A clip carries the revision of its last change, and a
deleted clip leaves its number in the table `deletions`, so that an index at some revision can read
what changed since. Only the newest deletions are kept: an index that is older than that has to be
built again from all clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Int64

from service.catalog.database import Connection, Cursor
from service.row_ids import WINDOW_BITS

KEPT_DELETIONS = 100_000
"""Newest deletions that are kept: more than any index in use should have to catch up with."""
PRUNE_EVERY = 1_000
"""Writes between two removals of older deletions."""

_BATCH_VECTORS = 1024
_ROW = f"(seq << {WINDOW_BITS})"


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of the clips and vectors of one encoder, as of one moment.

    Attributes:
        since: Revision that the changes start from: the requested one, or 0 if deletions after it
            are no longer known. From 0, the changes are all clips there are.
        revision: Revision that the changes lead to.
        removed: Numbers of the clips that were deleted, or that were replaced with a vector of
            another encoder only.
        rows: Rows of the clips that were put and of their windows, see `service.row_ids`.
        batches: The same rows with their raw embeddings [rows, dim], a batch at a time.
    """

    since: int
    revision: int
    removed: Int64[np.ndarray, " clips"]
    rows: Int64[np.ndarray, " rows"]
    batches: Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]


def next_revision(db: Connection) -> int:
    """Raise the revision by one, inside the transaction of a write, and return it."""
    row = db.execute("UPDATE meta SET revision = revision + 1 RETURNING revision").fetchone()
    revision = int(row[0])
    if revision % PRUNE_EVERY == 0:
        _prune_deletions(db)
    return revision


def record_deletion(db: Connection, revision: int, seq: int) -> None:
    """Note that the write of this revision deleted a clip."""
    db.execute("INSERT INTO deletions VALUES (?, ?)", (revision, seq))


def read_changes(db: Connection, since: int, fingerprint: str) -> Changes:
    """Read the changes since a revision; the batches are read while the transaction lasts."""
    if since < _pruned_revision(db):
        since = 0
    removed = db.execute(
        "SELECT seq FROM deletions WHERE revision > ?1 AND seq > 0"
        " UNION ALL SELECT seq FROM clips WHERE revision > ?1 AND NOT EXISTS"
        " (SELECT 1 FROM vectors WHERE vectors.seq = clips.seq AND fingerprint = ?2)",
        (since, fingerprint),
    )
    rows, put = (
        db.execute(
            f"SELECT {_ROW}{column} FROM clips JOIN vectors USING (seq)"
            " WHERE clips.revision > ?1 AND fingerprint = ?2"
            f" UNION ALL SELECT {_ROW} | number{column} FROM clips JOIN windows USING (seq)"
            " WHERE clips.revision > ?1 AND fingerprint = ?2",
            (since, fingerprint),
        )
        for column in ("", ", embedding")
    )
    (revision,) = db.execute("SELECT revision FROM meta").fetchone()
    return Changes(since, revision, _numbers(removed), _numbers(rows), _batches(put))


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
    rows: Cursor,
) -> Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]:
    while batch := rows.fetchmany(_BATCH_VECTORS):
        embeddings = np.frombuffer(b"".join(row[1] for row in batch), "<f2")
        yield np.array([row[0] for row in batch], np.int64), embeddings.reshape(len(batch), -1)
