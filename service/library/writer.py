"""Writes to a library, in the order that makes every crash harmless.

An audio file is complete under its final name before the clip that names it is committed, and is
removed after the last clip that named it was removed. A crash in between leaves a file that no clip
names; such files are moved into the quarantine when a library is opened. The lock keeps one writer
from removing a file that another writer is about to name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from service.catalog.audio_store import AudioStore, StagedAudio
from service.catalog.catalog import Catalog
from service.catalog.filters import check_metadata
from service.catalog.stored_names import is_name_of, is_stored, stored_paths
from service.catalog.vectors import Embeddings, Entry
from service.clips import ClipRecord, NewClip, ReferencedAudio, Source, StoredAudio, check_id
from service.concurrency.deadline import check_deadline
from service.concurrency.durable import sync_directory
from service.concurrency.locks import file_lock
from service.concurrency.storage import storage_errors
from service.difference import LARGEST, check_dim, fits
from service.errors import EmbeddingInvalidError, StorageFullError
from service.library.opening import LOCK
from service.library.reserve import Reserve

_LOGGER = logging.getLogger(__name__)


class ClipWriter:
    """Adds clips to a library and removes them.

    Args:
        library: Folder of the library.
        catalog: Catalogue of the library.
        dim: Length of an embedding.
        reserve_bytes: Room that is kept for deletions; 0 for none [bytes].

    Attributes:
        moved: Audio files that were moved into or out of the quarantine at the start.
    """

    def __init__(
        self, library: Path, catalog: Catalog, *, dim: int, reserve_bytes: int = 0
    ) -> None:
        self._library = library
        self._catalog = catalog
        self._dim = dim
        self._reserve = Reserve(library, reserve_bytes)
        with self._lock():
            self._store = AudioStore(library)
            self.moved = self._store.move_orphans(stored_paths(catalog.database))
            sync_directory(library)
            self._reserve.keep_if_possible()

    def put(self, clip: NewClip) -> tuple[ClipRecord, bool]:
        """Add a clip, or replace the clip of the same id, which keeps its place in the order.

        The clip and its audio are on the disk when this returns.

        Returns:
            The record, and whether the clip is new.

        Raises:
            ClipIdInvalidError: See `service.clips.check_id`.
            MetadataInvalidError: See `service.catalog.filters.check_metadata`.
            EmbeddingInvalidError: It has the wrong length, or a value is not finite or too large.
            StorageFullError: There is no room; nothing was stored.
            StorageUnavailableError: The library cannot be written now; nothing was stored.
            DeadlineError: The deadline of the request has passed; nothing was stored.
            ClientDisconnectedError: The client of the request has left; nothing was stored.
            OSError: The audio cannot be read, or has changed since it was hashed.
        """
        return self.put_many([clip])[0]

    def put_many(self, clips: Sequence[NewClip]) -> list[tuple[ClipRecord, bool]]:
        """Put clips in one transaction: all of them or, on an error, none. See `put`."""
        for clip in clips:
            check_deadline()
            self._check(clip)
        staged: dict[int, StagedAudio] = {}
        with self._storage_errors():
            if not self._reserve.is_whole:  # its room is not for this clip
                with self._lock():
                    self._reserve.keep()
            try:
                for number, clip in enumerate(clips):
                    check_deadline()
                    if isinstance(clip.audio, StoredAudio):
                        staged[number] = self._store.stage(clip.audio)
                entries = [_entry(clip, staged.get(number)) for number, clip in enumerate(clips)]
                return self._commit(entries, staged.values())
            finally:
                self._store.discard(staged.values())

    def delete(self, clip_id: str) -> None:
        """Remove a clip, durably, and its stored audio unless another clip has the same.

        On a full disk, the reserve of the library gives the room for this.

        Raises:
            ClipUnknownError: There is no clip of this id.
            StorageFullError: There is no room, and no reserve; nothing was removed.
            StorageUnavailableError: The library cannot be written now; nothing was removed.
            DeadlineError: The deadline of the request has passed; nothing was removed.
            ClientDisconnectedError: The client of the request has left; nothing was removed.
        """
        with self._storage_errors(), self._lock():
            check_deadline()
            try:
                record = self._catalog.delete(clip_id)
            except StorageFullError:
                if not self._reserve.release():
                    raise
                record = self._catalog.delete(clip_id)
            self._remove_unused([record] if record else [])
            self._reserve.keep_if_possible(self._catalog.database.shrink_log)

    def close(self) -> None:
        """Close the store of audio files."""
        with self._lock():
            self._store.close()

    def _lock(self) -> AbstractContextManager[None]:
        return file_lock(self._library / LOCK)

    def _storage_errors(self) -> AbstractContextManager[None]:
        return storage_errors("the library", self._library)

    def _commit(
        self, entries: Sequence[Entry], staged: Iterable[StagedAudio]
    ) -> list[tuple[ClipRecord, bool]]:
        touched = [entry.record for entry in entries]
        with self._lock():
            self._reserve.keep()
            check_deadline()
            try:
                self._store.publish(staged)
                written = self._catalog.put(entries)
                touched += [item.previous for item in written if item.previous]
            finally:
                # Audio that was replaced; or, if the commit failed, the audio that it would name.
                self._remove_unused(touched)
        return [(item.record, item.is_new) for item in written]

    def _remove_unused(self, records: Iterable[ClipRecord]) -> None:
        for record in records:
            if record.source != "stored" or record.path is None or record.sha256 is None:
                continue
            if not is_name_of(record.path, record.sha256):
                _LOGGER.warning(
                    "clip %s named %r, which is no stored file; nothing is removed",
                    record.id,
                    record.path,
                )
            elif not is_stored(self._catalog.database, record.path, record.sha256):
                self._store.remove([record.path])

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
