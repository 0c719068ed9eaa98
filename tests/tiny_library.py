"""Small clips and libraries with them, made from seeds."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.catalog.checksums import add_functions
from service.catalog.records import NAMES
from service.clips import AudioInfo, Metadata, NewClip, StoredAudio, Windows
from service.inference.embedding_space import CentredSpace
from service.library.library import Library

DIM = 16
FINGERPRINT = "ab" * 32
MEAN = np.linspace(1.0, 3.0, DIM, dtype=np.float32)


def make_embedding(seed: int) -> Float32[np.ndarray, " dim"]:
    """Return a non-negative embedding that half precision holds exactly."""
    values = np.random.default_rng(seed).gamma(1.0, 2.0, DIM)
    return values.astype(np.float16).astype(np.float32)


def make_bytes(seed: int) -> bytes:
    """Return bytes in place of an audio file; the library does not decode them."""
    rng = np.random.default_rng(seed)
    return rng.bytes(int(rng.integers(1, 300)))


def make_stored(content: bytes, extension: str = ".wav") -> StoredAudio:
    return StoredAudio(io.BytesIO(content), hashlib.sha256(content).hexdigest(), extension)


def make_windows(seed: int, n_windows: int) -> Windows:
    """Return windows of 10 s, one every 5 s."""
    embeddings = [make_embedding(1000 * (seed + 1) + n) for n in range(n_windows)]
    starts_s = 5.0 * np.arange(n_windows)
    return Windows(make_embedding(seed), np.stack(embeddings), starts_s, starts_s + 10)


def make_clip(
    clip_id: str,
    seed: int,
    *,
    metadata: Metadata | None = None,
    stored: bool = True,
    n_windows: int = 0,
) -> NewClip:
    """Return a clip whose embeddings and audio come from the seed."""
    duration_s = 5.0 * n_windows + 5 if n_windows else 1.5
    return NewClip(
        id=clip_id,
        embedding=make_embedding(seed),
        audio=make_stored(make_bytes(seed)) if stored else None,
        info=AudioInfo("audio/wav", duration_s, 48_000, 2),
        metadata=metadata or {},
        windows=make_windows(seed, n_windows) if n_windows else None,
    )


def open_library(path: Path, **options: Any) -> Library:
    space = CentredSpace(options.pop("fingerprint", FINGERPRINT), MEAN)
    return Library.open(path, **{"space": space} | options)


def execute(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Execute a statement on the database of a library and return its rows."""
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection, connection:
        return connection.execute(sql).fetchall()


def reseal(path: Path) -> None:
    """Give every record the checksum of what it says now, as whoever makes a backup could."""
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection, connection:
        add_functions(connection)
        connection.execute(f"UPDATE clips SET checksum = record_checksum({', '.join(NAMES)})")


def stored_files(path: Path) -> set[str]:
    """Return every file below audio/ and tmp/ of a library, relative to it."""
    return {
        file.relative_to(path).as_posix()
        for folder in ("audio", "tmp")
        for file in (path / folder).rglob("*")
        if file.is_file()
    }
