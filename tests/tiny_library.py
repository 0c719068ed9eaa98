"""Small clips and libraries with them, made from seeds."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.clips import AudioInfo, NewClip, StoredAudio
from service.filters import Metadata
from service.library import Library
from service.space import CentredSpace

DIM = 16
FINGERPRINT = "ab" * 32
MEAN = np.linspace(1.0, 3.0, DIM, dtype=np.float32)


def make_embedding(seed: int) -> Float32[np.ndarray, " dim"]:
    """Return a non-negative embedding that half precision holds exactly."""
    values = np.random.default_rng(seed).gamma(1.0, 2.0, DIM)
    return values.astype(np.float16).astype(np.float32)


def make_bytes(seed: int) -> bytes:
    """Return what stands for an audio file; the library never looks inside."""
    rng = np.random.default_rng(seed)
    return rng.bytes(int(rng.integers(1, 300)))


def make_stored(content: bytes, extension: str = ".wav") -> StoredAudio:
    return StoredAudio(io.BytesIO(content), hashlib.sha256(content).hexdigest(), extension)


def make_clip(
    clip_id: str, seed: int, *, metadata: Metadata | None = None, stored: bool = True
) -> NewClip:
    """Return a clip whose embedding and audio come from the seed."""
    return NewClip(
        id=clip_id,
        embedding=make_embedding(seed),
        audio=make_stored(make_bytes(seed)) if stored else None,
        info=AudioInfo("audio/wav", 1.5, 48_000, 2),
        metadata=metadata or {},
    )


def open_library(path: Path, **options: Any) -> Library:
    space = CentredSpace(options.pop("fingerprint", FINGERPRINT), MEAN)
    return Library.open(path, **{"space": space} | options)


def stored_files(path: Path) -> set[str]:
    """Return every file below audio/ and tmp/ of a library, relative to it."""
    return {
        file.relative_to(path).as_posix()
        for folder in ("audio", "tmp")
        for file in (path / folder).rglob("*")
        if file.is_file()
    }
