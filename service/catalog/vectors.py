"""The vectors of a catalogue: of its clips, and of the windows of the long ones.

Windows stand and fall with the vector of their clip by the same encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import orjson
from jaxtyping import Float16, Int64

from service.catalog.database import Connection, Cursor, Database
from service.clips import Windows
from service.row_ids import MAX_WINDOWS, WINDOW_BITS

_BATCH_VECTORS = 1024
_ROW = f"(seq << {WINDOW_BITS})"

WINDOWS_OF_CLIP = (
    "(SELECT ifnull(max(number), 0) FROM windows"
    " WHERE windows.seq = clips.seq AND windows.fingerprint = ?)"
)
"""SQL of how many windows a clip of the table `clips` has by an encoder."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What an encoder made of a clip.

    Attributes:
        whole: Raw embedding of the whole clip, float16 [dim].
        windows: Raw embeddings over time; None for a clip without windows.
    """

    whole: Float16[np.ndarray, " dim"]
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened since a revision.

    Attributes:
        revision: The revision that these changes lead to.
        gone: Numbers of the clips deleted since, or replaced by one that we have not embedded.
        rows: Rows of the clips put since and of their windows, see `service.row_ids`.
        batches: The same rows, some at a time, and their raw embeddings [rows, dim].
    """

    revision: int
    gone: Int64[np.ndarray, " clips"]
    rows: Int64[np.ndarray, " rows"]
    batches: Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]


def add_windows(database: Database) -> None:
    """Let a catalogue that was made before there were windows have some."""
    if not database.query("SELECT 1 FROM sqlite_schema WHERE name = 'windows'"):
        with database.transaction("write") as db:
            db.execute(
                resources.files("service.catalog").joinpath("windows.sql").read_text("utf-8")
            )


def write_vectors(
    db: Connection, seq: int, embeddings: Embeddings, *, fingerprint: str, precision: str
) -> None:
    """Write what an encoder made of a clip, inside a transaction, over what it made before."""
    db.execute("DELETE FROM vectors WHERE seq = ? AND fingerprint = ?", (seq, fingerprint))
    db.execute(
        "INSERT INTO vectors VALUES (?, ?, ?, ?)",
        (seq, fingerprint, precision, embeddings.whole.astype("<f2").tobytes()),
    )
    if (windows := embeddings.windows) is None:
        return
    db.executemany(
        "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)",
        (
            (seq, fingerprint, number, start_s, end_s, embedding.astype("<f2").tobytes())
            for number, (start_s, end_s, embedding) in enumerate(
                zip(
                    windows.starts_s.tolist(),
                    windows.ends_s.tolist(),
                    windows.embeddings,
                    strict=True,
                ),
                start=1,
            )
        ),
    )


def read_changes(db: Connection, since: int, fingerprint: str) -> Changes:
    """Read what happened since a revision; its batches are read while the transaction lasts."""
    gone = db.execute(
        "SELECT seq FROM deletions WHERE revision > ?1"
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
    return Changes(revision, _numbers(gone), _numbers(rows), _batches(put))


def read_spans(
    database: Database, rows: Sequence[int], fingerprint: str
) -> dict[int, tuple[float, float]]:
    """Return where windows begin and end in their clips [s], by row; those gone are left out."""
    found = database.query(
        "SELECT value, start_s, end_s FROM json_each(?) CROSS JOIN windows"
        f" ON seq = value >> {WINDOW_BITS} AND fingerprint = ? AND number = value & {MAX_WINDOWS}",
        orjson.dumps(rows).decode(),
        fingerprint,
    )
    return {row: (start_s, end_s) for row, start_s, end_s in found}


def read_windows(
    database: Database, clip_id: str, fingerprint: str
) -> list[tuple[float, float, bytes]]:
    """Return start [s], end [s] and raw embedding of each window of a clip, in their order."""
    return database.query(
        "SELECT start_s, end_s, embedding FROM clips JOIN windows USING (seq)"
        " WHERE id = ? AND fingerprint = ? ORDER BY number",
        *(clip_id, fingerprint),
    )


def _numbers(rows: Cursor) -> Int64[np.ndarray, " numbers"]:
    return np.fromiter((row[0] for row in rows), np.int64)


def _batches(
    rows: Cursor,
) -> Iterator[tuple[Int64[np.ndarray, " rows"], Float16[np.ndarray, "rows dim"]]]:
    while batch := rows.fetchmany(_BATCH_VECTORS):
        embeddings = np.frombuffer(b"".join(row[1] for row in batch), "<f2")
        yield np.array([row[0] for row in batch], np.int64), embeddings.reshape(len(batch), -1)
