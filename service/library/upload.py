"""Uploads: embeds an audio file and stores it as a clip."""

from __future__ import annotations

from typing import BinaryIO

from service.clips import ClipRecord, Metadata, NewClip, StoredAudio
from service.concurrency.timings import RequestTimings
from service.inference.cache import content_digest
from service.inference.file_embedder import FileEmbedder
from service.inference.pooling import Windowing
from service.library.library import Library
from service.row_ids import MAX_WINDOWS

ID_DIGITS = 32
"""The id of a clip that is given none: so many digits of the SHA-256 of its file."""

HOPS_PER_WINDOW = 2
"""Windows overlap by half: a sound of up to half a window lies completely in one of them."""

EXTENSIONS = {
    "audio/aac": ".aac",
    "audio/aiff": ".aiff",
    "audio/basic": ".au",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/x-caf": ".caf",
    "audio/x-w64": ".w64",
}


class ClipUploader:
    """Embeds and stores uploaded files.

    Args:
        embedder: Embeds the files.
        library: Stores the clips.
        windowing: Division of long clips into windows.
    """

    def __init__(self, embedder: FileEmbedder, library: Library, windowing: Windowing) -> None:
        self._embedder = embedder
        self._library = library
        self._windowing = windowing

    def store(
        self, content: BinaryIO, *, clip_id: str | None, metadata: Metadata, timings: RequestTimings
    ) -> tuple[ClipRecord, bool]:
        """Embed a file and store it; it is durable when this returns.

        Args:
            content: An audio file, seekable.
            clip_id: Id of the clip; derived from the content if None.
            metadata: Metadata of the clip; replaces the metadata it had.
            timings: Receives the time spent.

        Returns:
            The record, and whether the clip is new.

        Raises:
            AudioError: The file cannot be decoded, or is over a limit.
        """
        sha256 = content_digest(content)
        (embedded,) = self._embedder.embed(
            [content], timings, windowing=self._windowing, max_windows=MAX_WINDOWS
        )
        clip = NewClip(
            id=clip_id or sha256[:ID_DIGITS],
            embedding=embedded.embedding,
            audio=StoredAudio(content, sha256, EXTENSIONS.get(embedded.info.media_type or "", "")),
            info=embedded.info,
            metadata=metadata,
            windows=embedded.windows,
        )
        with timings.measure("store"):
            return self._library.writer.put(clip)


def library_windowing(window_s: float) -> Windowing:
    """Return the division of clips that are longer than a window into windows.

    Args:
        window_s: Length of a window [s].
    """
    return Windowing(window_s, window_s / HOPS_PER_WINDOW, beyond_s=window_s)
