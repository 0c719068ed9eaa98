"""Clips as data: `NewClip` is written to a library, `ClipRecord` is read from one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Float32

from service.errors import ClipIdInvalidError

Scalar = str | int | float | bool | None
Metadata = dict[str, Scalar | list[Scalar]]

Source = Literal["stored", "referenced", "vector"]

# "." and ".." would be read as directories in a URL.
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """Audio that the library stores as a copy.

    Attributes:
        file: The bytes: a path, or a file open for reading, which is read from its start.
        sha256: Digest of the bytes, 64 hexadecimal digits. The copy is checked against it.
        extension: End of the name of the stored file, with its dot: ".flac". May be empty.
        linked: Whether a file on the same file system gets a second name where that is possible,
            instead of being copied. Nothing may write to it afterwards.
    """

    file: BinaryIO | Path
    sha256: str
    extension: str
    linked: bool = False


@dataclass(frozen=True, slots=True)
class ReferencedAudio:
    """Audio that is read in place; the library stores only its path.

    Attributes:
        path: The file; made absolute when the clip is put.
        sha256: Digest of its bytes, 64 hexadecimal digits.
        size_bytes: Size of the file [bytes].
    """

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Properties of an audio file as it was decoded; None where unknown.

    Attributes:
        media_type: Media type, such as "audio/flac".
        duration_s: Length [s].
        sample_rate_hz: Sample rate of the file, before resampling [Hz].
        channels: Channels of the file, before mixing down.
    """

    media_type: str | None = None
    duration_s: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """Embeddings of one clip over time.

    Attributes:
        whole: Embedding of the whole clip, float32 [dim].
        embeddings: One per window, float32 [windows dim].
        starts_s: Start of each window in the clip, float64 [windows] [s].
        ends_s: End of each window, float64 [windows] [s]; the last one is the end of the clip.
    """

    whole: np.ndarray
    embeddings: np.ndarray
    starts_s: np.ndarray
    ends_s: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClip:
    """A clip to be put into a library.

    Attributes:
        id: 1 to 128 characters of A-Z a-z 0-9 . _ -
        embedding: Raw embedding by the encoder, float32 [dim]; finite, within ±65504.
        audio: Stored or referenced audio; None for a clip without audio.
        info: Properties of the audio file.
        metadata: A flat JSON object, see `service.catalog.filters`.
        windows: Raw embeddings over time; None for a clip without windows.
    """

    id: str
    embedding: Float32[np.ndarray, " dim"]
    audio: StoredAudio | ReferencedAudio | None = None
    info: AudioInfo = AudioInfo()
    metadata: Metadata = field(default_factory=dict)
    windows: Windows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecord:
    """A clip as the catalogue holds it.

    Attributes:
        id: Unique in the library.
        source: "stored" and "referenced" clips have audio; "vector" clips have none.
        sha256: Digest of the audio file.
        path: Path of the audio file: stored, relative to the library; referenced, absolute.
        media_type: Media type, such as "audio/flac".
        size_bytes: Size of the audio file [bytes].
        duration_s: Length [s].
        sample_rate_hz: Sample rate of the audio file [Hz].
        channels: Channels of the audio file.
        metadata: A flat JSON object.
        created_at: Time when the id was first put, ISO 8601 in UTC.
        updated_at: Time when the id was last put, ISO 8601 in UTC.
        windows: Number of windows of the clip in the index; 0 for a clip without windows.
    """

    id: str
    source: Source
    sha256: str | None
    path: str | None
    media_type: str | None
    size_bytes: int | None
    duration_s: float | None
    sample_rate_hz: int | None
    channels: int | None
    metadata: Metadata
    created_at: str
    updated_at: str
    windows: int = 0


def check_id(clip_id: str) -> str:
    """Return the id if it is valid.

    Raises:
        ClipIdInvalidError: It is not 1 to 128 characters of A-Z a-z 0-9 . _ - or is "." or "..".
    """
    if not _ID.fullmatch(clip_id):
        raise ClipIdInvalidError(
            f"clip id {clip_id!r:.140} is not 1 to 128 characters of A-Z a-z 0-9 . _ - "
            "(nor may it be . or ..)"
        )
    return clip_id
