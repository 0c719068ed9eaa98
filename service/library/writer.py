"""Writes to a library, in the order that makes every crash harmless.

A file is complete and in its place before the clip that names it is committed, and is removed
after the last clip that named it is gone. What a crash leaves in between is a file that no clip
names; those are swept when a library is opened. The lock keeps one writer from removing content
that another is about to name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from service.catalog.audio_store import AudioStore, StagedAudio
from service.catalog.catalog import Catalog, Entry
from service.catalog.filters import check_metadata
from service.catalog.vectors import Embeddings
from service.clips import ClipRecord, NewClip, ReferencedAudio, Source, StoredAudio, check_id
from service.concurrency.durable import sync_directory
from service.concurrency.locks import file_lock
from service.difference import LARGEST, check_dim, fits
from service.errors import EmbeddingInvalidError


class ClipWriter:
    """Puts clips into a library and removes them.

    Args:
        library: Its directory.
        catalog: Its catalogue.
        dim: Length of an embedding.
    """

    def __init__(self, library: Path, catalog: Catalog, *, dim: int) -> None:
        self._library = library
        self._catalog = catalog
        self._dim = dim
        with self._lock():
            self._store = AudioStore(library)
            self.n_swept = self._store.sweep(catalog.stored_paths())
            sync_directory(library)

    def put(self, clips: Sequence[NewClip]) -> list[tuple[ClipRecord, bool]]:
        """Put all clips or none, see `Library.put_many`."""
        for clip in clips:
            self._check(clip)
        staged: dict[int, StagedAudio] = {}
        try:
            for number, clip in enumerate(clips):
                if isinstance(clip.audio, StoredAudio):
                    staged[number] = self._store.stage(clip.audio)
            entries = [_entry(clip, staged.get(number)) for number, clip in enumerate(clips)]
            return self._commit(entries, staged.values())
        finally:
            self._store.discard(staged.values())

    def delete(self, clip_id: str) -> None:
        """Remove a clip, see `Library.delete`."""
        with self._lock():
            self._remove_unused([self._catalog.delete(clip_id)])

    def close(self) -> None:
        """Give up the store."""
        with self._lock():
            self._store.close()

    def _lock(self) -> AbstractContextManager[None]:
        return file_lock(self._library / "library.lock")

    def _commit(
        self, entries: Sequence[Entry], staged: Iterable[StagedAudio]
    ) -> list[tuple[ClipRecord, bool]]:
        touched = [entry.record for entry in entries]
        with self._lock():
            try:
                self._store.adopt(staged)
                written = self._catalog.put(entries)
                touched += [item.previous for item in written if item.previous]
            finally:
                # Replaced audio; or, when the commit failed, the audio that was to be named.
                self._remove_unused(touched)
        return [(item.record, item.previous is None) for item in written]

    def _remove_unused(self, records: Iterable[ClipRecord]) -> None:
        names = {record.path for record in records if record.source == "stored" and record.path}
        self._store.remove(name for name in names if not self._catalog.is_stored(name))

    def _check(self, clip: NewClip) -> None:
        check_id(clip.id)
        check_metadata(clip.metadata)
        check_dim(clip.embedding, self._dim)
        windows = clip.windows
        if not fits(clip.embedding) or (windows and not fits(windows.embeddings)):
            raise EmbeddingInvalidError(
                f"clip {clip.id!r}: a value of the embedding is not finite or beyond ±{LARGEST}"
            )


def _entry(clip: NewClip, staged: StagedAudio | None) -> Entry:
    source: Source = "vector"
    sha256 = path = size_bytes = None
    if clip.audio is not None:
        sha256 = clip.audio.sha256
    if staged is not None:
        source, path, size_bytes = "stored", staged.name, staged.size_bytes
    elif isinstance(clip.audio, ReferencedAudio):
        source, path, size_bytes = "referenced", _absolute(clip.audio.path), clip.audio.size_bytes
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = ClipRecord(
        id=clip.id,
        source=source,
        sha256=sha256,
        path=path,
        media_type=clip.info.media_type,
        size_bytes=size_bytes,
        duration_s=clip.info.duration_s,
        sample_rate_hz=clip.info.sample_rate_hz,
        channels=clip.info.channels,
        metadata=clip.metadata,
        created_at=now,
        updated_at=now,
        windows=len(clip.windows.embeddings) if clip.windows else 0,
    )
    return Entry(record, Embeddings(clip.embedding.astype(np.float16), clip.windows))


def _absolute(path: Path) -> str:
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise OSError(f"the catalogue cannot name {text!r}: its name is not UTF-8") from err
    return text
