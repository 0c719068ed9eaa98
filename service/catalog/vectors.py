"""Embeddings of clips and of their windows, in the tables `vectors` and `windows`.

The windows of a clip are removed with its vector by the same encoder. A row whose checksum differs
is damaged, and is not returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from jaxtyping import Float16, Float32, Float64

from service.catalog.checksums import vector_checksum, window_checksum
from service.catalog.database import Connection, Database
from service.catalog.records import BY_ID, COLUMNS, check_found, read_record
from service.clips import ClipRecord, Windows
from service.errors import ClipDamagedError, ClipUnknownError
from service.row_ids import MAX_WINDOWS, WINDOW_BITS


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings of one clip by one encoder.

    Attributes:
        whole: Raw embedding of the whole clip, float16 [dim].
        windows: Raw embeddings over time; None for a clip without windows.
    """

    whole: Float16[np.ndarray, " dim"]
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip to be written: its record, and its embeddings by the catalogue's encoder."""

    record: ClipRecord
    embeddings: Embeddings


def write_vectors(
    db: Connection, seq: int, embeddings: Embeddings, *, fingerprint: str, precision: str
) -> None:
    """Replace the embeddings of a clip by one encoder, inside a transaction."""
    db.execute("DELETE FROM vectors WHERE seq = ? AND fingerprint = ?", (seq, fingerprint))
    whole = (seq, fingerprint, precision, embeddings.whole.astype("<f2").tobytes())
    db.execute("INSERT INTO vectors VALUES (?, ?, ?, ?, ?)", (*whole, vector_checksum(*whole)))
    if (windows := embeddings.windows) is None:
        return
    spans = zip(_floats(windows.starts_s), _floats(windows.ends_s), strict=True)
    numbered = enumerate(zip(spans, windows.embeddings, strict=True), start=1)
    rows = (
        (seq, fingerprint, number, *span, embedding.astype("<f2").tobytes())
        for number, (span, embedding) in numbered
    )
    db.executemany(
        "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((*row, window_checksum(*row)) for row in rows),
    )


def read_vector(
    database: Database, clip_id: str, fingerprint: str
) -> Float32[np.ndarray, " dim"] | None:
    """Return the embedding of a clip; None if this encoder has not embedded it.

    Raises:
        ClipUnknownError: There is no clip of this id.
        ClipDamagedError: The embedding is damaged.
    """
    rows = database.query(f"SELECT seq, {COLUMNS} FROM clips WHERE {BY_ID}", clip_id)
    if not rows:
        raise ClipUnknownError(f"the library has no clip {clip_id!r:.140}")
    seq, *columns = rows[0]
    check_found(read_record(columns), clip_id)
    found = database.query(
        "SELECT precision, embedding, checksum FROM vectors WHERE seq = ? AND fingerprint = ?",
        *(seq, fingerprint),
    )
    if not found:
        return None
    precision, embedding, checksum = found[0]
    if vector_checksum(seq, fingerprint, precision, embedding) != checksum:
        raise _damaged("embedding", clip_id)
    return decode_embedding(embedding)


def read_windows(
    database: Database, clip_id: str, whole: Float32[np.ndarray, " dim"], fingerprint: str
) -> Windows | None:
    """Return the windows of a clip in order of time; None if it has none.

    Args:
        database: The catalogue.
        clip_id: The clip.
        whole: Its embedding.
        fingerprint: The encoder.

    Raises:
        ClipDamagedError: A window is damaged.
    """
    found = database.query(
        "SELECT seq, fingerprint, number, start_s, end_s, embedding, windows.checksum"
        " FROM clips JOIN windows USING (seq) WHERE id = ? AND fingerprint = ? ORDER BY number",
        *(clip_id, fingerprint),
    )
    if not found:
        return None
    if any(window_checksum(*row) != checksum for *row, checksum in found):
        raise _damaged("embedding of a window", clip_id)
    starts_s, ends_s, embeddings = zip(*(row[3:6] for row in found), strict=True)
    rows = decode_embedding(b"".join(embeddings)).reshape(len(found), -1)
    return Windows(whole, rows, np.array(starts_s), np.array(ends_s))


def read_spans(
    database: Database, rows: Sequence[int], fingerprint: str
) -> dict[int, tuple[float, float]]:
    """Return start and end of windows in their clips [s], by row.

    Missing and damaged windows are left out.
    """
    found = database.query(
        "SELECT value, seq, fingerprint, number, start_s, end_s, embedding, checksum"
        " FROM json_each(?) CROSS JOIN windows"
        f" ON seq = value >> {WINDOW_BITS} AND fingerprint = ? AND number = value & {MAX_WINDOWS}",
        orjson.dumps(rows).decode(),
        fingerprint,
    )
    return {
        row: (window[3], window[4])
        for row, *window, checksum in found
        if window_checksum(*window) == checksum
    }


def decode_embedding(blob: bytes) -> Float32[np.ndarray, " values"]:
    """Return the values of a blob of the columns `embedding`."""
    return np.frombuffer(blob, "<f2").astype(np.float32)


def _floats(seconds: Float64[np.ndarray, " windows"]) -> list[float]:
    """Return times as the columns return them, which the checksum covers."""
    values: list[float] = np.asarray(seconds, np.float64).tolist()
    return values


def _damaged(part: str, clip_id: str) -> ClipDamagedError:
    return ClipDamagedError(
        f"the {part} of clip {clip_id!r:.140} is damaged; `minuend index --reembed` computes it"
        " again from the audio"
    )
