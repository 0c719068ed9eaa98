"""The library of clips: what is acknowledged is on the disk, and is found.

catalog.sqlite    the truth: clips and embeddings
audio/  tmp/      stored audio, and copies on their way into it
index/            snapshot of the search index, a cache
library.lock      held by whoever changes which audio files there are
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.catalog.catalog import Catalog
from service.catalog.filters import Filter
from service.catalog.pagination import decode_cursor, encode_cursor
from service.catalog.reembed_queue import Backlog, check_encoder
from service.clips import AudioInfo, ClipRecord, NewClip, ReferencedAudio, StoredAudio, Windows
from service.concurrency.durable import sync_directory
from service.concurrency.locks import file_lock
from service.errors import ClipAudioMissingError, LibraryError
from service.index.search import SearchRequest
from service.inference.embedding_space import Space
from service.library.hits import Hit, read_hits
from service.library.sampler import Sampler
from service.library.synced_index import SyncedIndex
from service.library.writer import ClipWriter

__all__ = [
    "AudioInfo",
    "ClipRecord",
    "Hit",
    "Library",
    "NewClip",
    "ReferencedAudio",
    "StoredAudio",
]

_LOGGER = logging.getLogger(__name__)


class Library:
    """One open library, for any number of threads; other processes may have it open too.

    Use `Library.open`.

    Attributes:
        space: Where it is searched.
        backlog: What its encoder has yet to embed.
        sampler: Gives the vectors of some of its clips.
        audit: Measures the recall of its searches.
    """

    def __init__(
        self,
        path: Path,
        *,
        catalog: Catalog,
        writer: ClipWriter,
        space: Space,
        backlog: Backlog,
    ) -> None:
        self._path = path
        self._catalog = catalog
        self._writer = writer
        self._index = SyncedIndex(catalog, path / "index", space=space)
        self.space = space
        self.backlog = backlog
        self.sampler = Sampler(catalog, self._index)
        self.audit = self._index.audit

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        space: Space,
        precision: str = "float32",
        create: bool = True,
        reembedding: bool = False,
    ) -> Library:
        """Open a library, after sweeping up what a crash may have left in it.

        Args:
            path: Directory of the library.
            space: Where it is searched; of the encoder whose embeddings it holds.
            precision: Variant of the encoder that makes the embeddings put here.
            create: Make the library if there is none.
            reembedding: Open it though clips await this encoder.

        Raises:
            LibraryError: There is none and none is to be made, it cannot be read or written, or
                it holds clips that only another encoder embedded; those apart that are known to be
                out of this one's reach, which searches do not find.
        """
        path = path.absolute()
        file = path / "catalog.sqlite"
        if not create and not file.exists():
            raise LibraryError(f"{path} is no library: it has no {file.name}")
        try:
            if not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                sync_directory(path.parent)
            with file_lock(path / "library.lock"):
                encoder = {"fingerprint": space.fingerprint, "precision": precision}
                catalog = Catalog(file, **encoder)
                backlog = Backlog(catalog, **encoder)
            if not reembedding:
                check_encoder(path, catalog, backlog, space.fingerprint)
            writer = ClipWriter(path, catalog, dim=space.embedding_dim)
            library = cls(path, catalog=catalog, writer=writer, space=space, backlog=backlog)
        except OSError as err:
            raise LibraryError(f"{path} cannot be used as a library: {err}") from err
        if writer.n_swept:
            _LOGGER.info("swept %d unfinished audio files from %s", writer.n_swept, path)
        return library

    def close(self) -> None:
        """Close the library; no call may be under way or follow."""
        self._index.close()
        self._writer.close()
        self._catalog.close()

    def put(self, clip: NewClip) -> tuple[ClipRecord, bool]:
        """Add a clip, or replace the clip of the same id, which keeps its place in the order.

        The clip and its audio are on the disk when this returns.

        Returns:
            The record, and whether the clip is new.

        Raises:
            ClipIdInvalidError: See `service.clips.check_id`.
            MetadataInvalidError: See `service.catalog.filters.check_metadata`.
            EmbeddingInvalidError: It has the wrong length, or a value is not finite or too large.
            OSError: The audio cannot be read, has changed since it was hashed, or cannot be
                written.
        """
        return self.put_many([clip])[0]

    def put_many(self, clips: Sequence[NewClip]) -> list[tuple[ClipRecord, bool]]:
        """Put clips in one transaction: all of them or, on an error, none. See `put`."""
        return self._writer.put(clips)

    def delete(self, clip_id: str) -> None:
        """Remove a clip, durably, and its stored audio unless another clip has the same.

        Raises:
            ClipUnknownError: There is none of this id.
        """
        self._writer.delete(clip_id)

    def get(self, clip_id: str) -> ClipRecord:
        """Return the record of a clip.

        Raises:
            ClipUnknownError: There is none of this id.
        """
        return self._catalog.get(clip_id)

    def embedding(self, clip_id: str) -> Float32[np.ndarray, " dim"]:
        """Return the raw embedding of a clip, in the half precision it is kept in.

        Raises:
            ClipUnknownError: There is none of this id.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        return self._catalog.embedding(clip_id)

    def windows(self, clip_id: str) -> Windows | None:
        """Return the raw embeddings of a clip over time, None if it has no windows.

        Raises:
            ClipUnknownError: There is none of this id.
            FingerprintMismatchError: Only other encoders have embedded it.
        """
        return self._catalog.windows(clip_id)

    def open_audio(self, clip_id: str) -> Path:
        """Return the file with the audio of a clip, as it came.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or the file is gone.
        """
        record = self._catalog.get(clip_id)
        if record.path is None:
            raise ClipAudioMissingError(f"clip {clip_id!r} was added as a vector, without audio")
        path = self._path / record.path
        if not path.is_file():
            raise ClipAudioMissingError(f"the {record.source} audio of clip {clip_id!r} is gone")
        return path

    def has_content(self, sha256: str) -> tuple[str, ...]:
        """Return the ids of the embedded clips whose audio has this digest, oldest first."""
        return self._catalog.ids_by_content(sha256)

    def page(
        self, cursor: str | None = None, limit: int = 100, filter: Filter | None = None
    ) -> tuple[list[ClipRecord], str | None]:
        """Return clips in the order in which they were first put.

        A clip that is there all the while comes exactly once, whatever is written between pages.

        Args:
            cursor: Where the page before ended; None starts at the oldest clip.
            limit: Most clips, at least 1.
            filter: Only clips whose metadata passes.

        Returns:
            The clips, and the cursor of the next page or None after the last.

        Raises:
            CursorInvalidError: The cursor was not made by this library.
        """
        after = 0 if cursor is None else decode_cursor(cursor, self._catalog.library)
        rows = self._catalog.page(after, limit + 1, filter)
        records = [record for _, record in rows[:limit]]
        if len(rows) <= limit:
            return records, None
        return records, encode_cursor(rows[limit - 1][0], self._catalog.library)

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        filter: Filter | None = None,
        exclude: frozenset[str] = frozenset(),
        terms: Mapping[str, Float32[np.ndarray, " dim"]] | None = None,
        every_window: bool = False,
    ) -> list[Hit]:
        """Return the clips nearest to a query, best first; the older clip first among equals.

        Each clip comes once, with the place of its nearest window.

        Every write acknowledged before the call is seen, by whichever process it was made. A clip
        changed or deleted while the search runs may be missing from it.

        Args:
            query: Unit vector, compared with those of the clips; zero is near to nothing.
            k: Most hits, at least 1.
            filter: Only clips whose metadata passes; k of them if there are as many.
            exclude: Ids of clips to leave out.
            terms: Vectors of which each hit's shares are wanted, by name.
            every_window: Let every window be a hit of its own, and every clip without windows.
        """
        if not query.any():
            return []
        asked = SearchRequest(
            query,
            k,
            allowed=None if filter is None else self._catalog.matching(filter),
            excluded=self._catalog.seqs(exclude),
            every_window=every_window,
            is_modified=bool(terms),
        )
        found = self._index.search(asked, terms)
        return read_hits(self._catalog, found)

    def n_vectors(self) -> int:
        """Number of vectors that a search compares: those of clips and of windows."""
        return self._index.n_vectors()

    def count(self) -> int:
        """Number of clips."""
        return self._catalog.count()

    def revision(self) -> int:
        """Number of writes so far; it differs after every write."""
        return self._catalog.revision()

    def refresh(self) -> None:
        """Bring the search index up to date, so that the next search need not."""
        self._index.refresh()

    def follow(self) -> None:
        """Begin to bring the search index up to date beside the callers.

        For many clips at once, which the next search would have to wait for. Clips that come one by
        one cost the index more one by one than together, so they wait for a search.
        """
        self._index.follow()

    def save_snapshot(self) -> None:
        """Save the search index, so that the next start need not build it."""
        self._index.save()
