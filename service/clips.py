"""What a clip is: as it is handed to the library, and as the library tells of it."""

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

# "." and ".." would be taken for directories in an address.
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """Audio whose bytes the library keeps.

    Attributes:
        file: Where the bytes are: a path, or a file open for reading, which is read from its
            start.
        sha256: Their digest, 64 hexadecimal digits. The library holds the copy to it.
        extension: Ends the name of the stored file, with its dot: ".flac". May be empty.
    """

    file: BinaryIO | Path
    sha256: str
    extension: str


@dataclass(frozen=True, slots=True)
class ReferencedAudio:
    """Audio that stays where it is and is read in place.

    Attributes:
        path: The file; made absolute when it is put.
        sha256: Digest of its bytes, 64 hexadecimal digits.
        size_bytes: Its size [bytes].
    """

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What decoding told about the source; None where nobody knows.

    Attributes:
        media_type: Such as "audio/flac".
        duration_s: Length [s].
        sample_rate_hz: Rate of the source, before resampling [Hz].
        channels: Channels of the source, before mixing down.
    """

    media_type: str | None = None
    duration_s: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """A clip's embeddings over time.

    Attributes:
        whole: Embedding of the whole clip, float32 [dim].
        embeddings: One per window, float32 [windows dim].
        starts_s: Where each window starts, float64 [windows] [s].
        ends_s: Where each window ends, float64 [windows] [s]; the last is the clip's end.
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
        embedding: The raw encoder embedding, float32 [dim]; finite, within ±65504.
        audio: Stored, referenced, or None for a clip known by its vector alone.
        info: Facts about the source.
        metadata: A flat JSON object, see `service.catalog.filters`.
        windows: Its raw embeddings over time; None if it is known as a whole only.
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
        id: Its name, unique in the library.
        source: "stored" and "referenced" have audio; "vector" has none.
        sha256: Digest of the audio's bytes.
        path: Stored: relative to the library. Referenced: absolute.
        media_type: Such as "audio/flac".
        size_bytes: Size of the audio file [bytes].
        duration_s: Length [s].
        sample_rate_hz: Rate of the source [Hz].
        channels: Channels of the source.
        metadata: A flat JSON object.
        created_at: When the id was first put, ISO 8601 in UTC.
        updated_at: When it was last put, ISO 8601 in UTC.
        windows: How many windows of it are searched; 0 for a clip that is searched as a whole.
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
    """Return the id if a clip may have it.

    Raises:
        ClipIdInvalidError: It is not 1 to 128 characters of A-Z a-z 0-9 . _ - or is "." or "..".
    """
    if not _ID.fullmatch(clip_id):
        raise ClipIdInvalidError(
            f"clip id {clip_id!r:.140} is not 1 to 128 characters of A-Z a-z 0-9 . _ - "
            "(nor may it be . or ..)"
        )
    return clip_id
