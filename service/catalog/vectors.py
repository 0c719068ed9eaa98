"""Embeddings of clips and of their windows, in the tables `vectors` and `windows`.

The windows of a clip are removed with its vector by the same encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from jaxtyping import Float16, Float32

from service.catalog.database import Connection, Database
from service.clips import Windows
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


def write_vectors(
    db: Connection, seq: int, embeddings: Embeddings, *, fingerprint: str, precision: str
) -> None:
    """Replace the embeddings of a clip by one encoder, inside a transaction."""
    db.execute("DELETE FROM vectors WHERE seq = ? AND fingerprint = ?", (seq, fingerprint))
    db.execute(
        "INSERT INTO vectors VALUES (?, ?, ?, ?)",
        (seq, fingerprint, precision, embeddings.whole.astype("<f2").tobytes()),
    )
    if (windows := embeddings.windows) is None:
        return
    spans = zip(windows.starts_s.tolist(), windows.ends_s.tolist(), strict=True)
    numbered = enumerate(zip(spans, windows.embeddings, strict=True), start=1)
    db.executemany(
        "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)",
        (
            (seq, fingerprint, number, *span, embedding.astype("<f2").tobytes())
            for number, (span, embedding) in numbered
        ),
    )


def read_windows(
    database: Database, clip_id: str, whole: Float32[np.ndarray, " dim"], fingerprint: str
) -> Windows | None:
    """Return the windows of a clip in order of time; None if it has none.

    Args:
        database: The catalogue.
        clip_id: The clip.
        whole: Its embedding.
        fingerprint: The encoder.
    """
    found = database.query(
        "SELECT start_s, end_s, embedding FROM clips JOIN windows USING (seq)"
        " WHERE id = ? AND fingerprint = ? ORDER BY number",
        *(clip_id, fingerprint),
    )
    if not found:
        return None
    starts_s, ends_s, embeddings = zip(*found, strict=True)
    rows = decode_embedding(b"".join(embeddings)).reshape(len(found), -1)
    return Windows(whole, rows, np.array(starts_s), np.array(ends_s))


def read_spans(
    database: Database, rows: Sequence[int], fingerprint: str
) -> dict[int, tuple[float, float]]:
    """Return start and end of windows in their clips [s], by row; missing windows are left out."""
    found = database.query(
        "SELECT value, start_s, end_s FROM json_each(?) CROSS JOIN windows"
        f" ON seq = value >> {WINDOW_BITS} AND fingerprint = ? AND number = value & {MAX_WINDOWS}",
        orjson.dumps(rows).decode(),
        fingerprint,
    )
    return {row: (start_s, end_s) for row, start_s, end_s in found}


def decode_embedding(blob: bytes) -> Float32[np.ndarray, " values"]:
    """Return the values of a blob of the columns `embedding`."""
    return np.frombuffer(blob, "<f2").astype(np.float32)
