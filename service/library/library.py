"""The library of clips: when a write returns, its clip is on the disk and can be found.

catalog.sqlite    the source of truth: clips and embeddings
audio/  tmp/      stored audio files, and unfinished copies of audio files
quarantine/       audio files that no clip named when the library was opened
index/            snapshot of the search index, a cache
restore.partial/  an unfinished restore; the library is not opened then
scrub.json  verify.json    progress of checks for damage
reserve           room for deletions on a full disk
library.lock      held while the set of audio files is changed
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.catalog.audio_store import MovedAudio
from service.catalog.catalog import Catalog
from service.catalog.filters import Filter
from service.catalog.inspection import faults_reported
from service.catalog.pagination import decode_cursor, encode_cursor
from service.catalog.reembed_queue import ReembedQueue
from service.clips import ClipRecord
from service.concurrency.durable import make_directory
from service.concurrency.locks import file_lock
from service.concurrency.storage import free_bytes
from service.errors import LibraryDamagedError, LibraryError
from service.index.search import SearchRequest
from service.inference.embedding_space import Space
from service.library.audio_files import audio_file
from service.library.clip_audio import ClipAudio, ClipAudioFiles
from service.library.health import LibraryHealth
from service.library.hits import Hit, read_hits
from service.library.opening import (
    CATALOG,
    LOCK,
    Creation,
    check_after_crash,
    check_unused,
    prepare_folder,
)
from service.library.reserve import NEEDED_BYTES, Reserve
from service.library.scrub import Scrub
from service.library.synced_index import SyncedIndex
from service.library.writer import ClipWriter

SEARCHES = 3
"""Most searches for one query while its hits are changed."""

_LOGGER = logging.getLogger(__name__)


class Library:
    """One open library, for any number of threads; other processes may have it open as well.

    Use `Library.open`.

    Attributes:
        catalog: Records and embeddings of the clips.
        writer: Adds and removes clips.
        index: Search index of the clips, kept up to date with the catalogue.
        health: Tells which parts of the library work.
        reembed_queue: Clips that the encoder still has to embed.
        scrub: Checks the library for damage in the background, once it is started.
        space: Space in which clips are searched.
    """

    def __init__(
        self,
        path: Path,
        *,
        catalog: Catalog,
        writer: ClipWriter,
        space: Space,
        queue: ReembedQueue,
    ) -> None:
        self._path = path
        self.catalog = catalog
        self._audio = ClipAudioFiles(path, catalog)
        self.writer = writer
        self.index = SyncedIndex(catalog, path / "index", space=space)
        self.health = LibraryHealth(path, catalog, self.index)
        self.reembed_queue = queue
        self.scrub = Scrub(path, catalog)
        self.space = space

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        space: Space,
        precision: str = "float32",
        create: Creation | bool = True,
        reembedding: bool = False,
        reserve_bytes: int = 0,
    ) -> Library:
        """Open a library, and move audio files that no clip names into its quarantine.

        Args:
            path: Folder of the library.
            space: Space in which clips are searched; it names the encoder of their embeddings.
            precision: Variant of the encoder that makes the embeddings put here.
            create: Make the library if the folder is missing or empty; or where a `Creation` says.
            reembedding: Open it even if clips wait for this encoder.
            reserve_bytes: Room that is kept for deletions on a full disk; 0 for none [bytes].

        Raises:
            LibraryError: There is no library, see `service.library.opening`; it is damaged, or
                cannot be read or written; or it holds clips that this encoder could embed and
                only another one has. Clips that this encoder cannot embed are no error: searches
                do not find them.
        """
        path = path.absolute()
        creation = create if isinstance(create, Creation) else Creation(if_empty=create)
        encoder = {"fingerprint": space.fingerprint, "precision": precision}
        try:
            prepare_folder(path, creation)
            make_directory(path)
            with faults_reported(path / CATALOG), ExitStack() as opened:
                catalog = _open_catalog(path, creation, **encoder)
                opened.callback(catalog.close)
                queue = ReembedQueue(catalog, **encoder)
                if not reembedding:
                    queue.check_complete(path)
                writer = ClipWriter(
                    path, catalog, dim=space.embedding_dim, reserve_bytes=reserve_bytes
                )
                opened.callback(writer.close)
                library = cls(path, catalog=catalog, writer=writer, space=space, queue=queue)
                opened.pop_all()  # from here on, `close` closes them
        except (OSError, LibraryDamagedError) as err:
            raise LibraryError(f"{path} cannot be used as a library: {err}") from err
        _log_moved(path, writer.moved)
        return library

    def close(self) -> None:
        """Close the library; no call may be running or follow."""
        self.scrub.close()
        self.index.close()
        self.writer.close()
        self.catalog.close()

    def open_audio(self, clip_id: str) -> ClipAudio:
        """Open the audio of a clip, as it was uploaded or imported, with the record of the clip.

        Both are of one moment during the call. The open file keeps its bytes when the clip is
        replaced or deleted afterwards.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or none that may be opened, see
                `service.library.audio_files`; or the file is read in place and was changed.
            ClipDamagedError: The record or the file is damaged, see `service.library.audio_check`.
        """
        return self._audio.open(clip_id)

    def audio_path(self, clip_id: str) -> Path:
        """Return the path of the audio file of a clip; to read it, use `open_audio`.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, none that may be opened, or the file is gone.
            ClipDamagedError: The record is damaged.
        """
        return audio_file(self._path, self.catalog.get(clip_id))

    def page(
        self, cursor: str | None = None, limit: int = 100, filter: Filter | None = None
    ) -> tuple[list[ClipRecord], str | None]:
        """Return clips in the order in which they were first put.

        A clip that exists during the whole listing comes exactly once, whatever is written between
        the pages. Clips whose record is damaged are left out.

        Args:
            cursor: End of the page before; None starts at the oldest clip.
            limit: Most clips, at least 1.
            filter: Only clips whose metadata passes.

        Returns:
            The clips, and the cursor of the next page or None after the last.

        Raises:
            CursorInvalidError: The cursor was not made by this library.
        """
        after = 0 if cursor is None else decode_cursor(cursor, self.catalog.library)
        rows = self.catalog.page(after, limit + 1, filter)
        records = [record for _, record in rows[:limit] if record]
        if len(rows) <= limit:
            return records, None
        return records, encode_cursor(rows[limit - 1][0], self.catalog.library)

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
        """Return the clips nearest to a query, best first; of equal ones the older clip first.

        Each clip comes once, with the span of its nearest window.

        Every write that was acknowledged before the call is seen, by whichever process it was made.
        If hits are changed or deleted during the search, it is repeated, up to `SEARCHES` times;
        those that were changed during the last of them are missing.

        Args:
            query: Unit vector, compared with those of the clips; the zero vector has no hits.
            k: Most hits, at least 1.
            filter: Only clips whose metadata passes; k of them if there are as many.
            exclude: Ids of clips to leave out.
            terms: Terms of the query by name; each hit gets its inner product with each of them.
            every_window: Return every window as a hit, and every clip without windows.
        """
        if not query.any():
            return []
        hits: list[Hit] = []
        for _ in range(SEARCHES):
            until = self.catalog.revision()
            request = SearchRequest(
                query,
                k,
                allowed=None if filter is None else self.catalog.matching(filter),
                excluded=self.catalog.seqs(exclude),
                every_window=every_window,
                is_modified=bool(terms),
            )
            found = self.index.search(request, terms)
            hits = read_hits(self.catalog, found, until=until)
            if len(hits) == len(found.rows) or self.catalog.revision() == until:
                break
        return hits


def _open_catalog(path: Path, creation: Creation, **encoder: str) -> Catalog:
    """Check the folder of a library, and open or make its catalogue, under the lock."""
    with file_lock(path / LOCK):
        # Again, as another process may have changed the folder before the lock.
        is_new = prepare_folder(path, creation)
        if is_new:
            check_unused(path)
        if free_bytes(path) < NEEDED_BYTES:
            Reserve(path, 0).release()
        check_after_crash(path)
        return Catalog(path / CATALOG, **encoder, create=is_new)


def _log_moved(path: Path, moved: MovedAudio) -> None:
    if moved.n_returned:
        _LOGGER.warning(
            "%d audio files of clips were in the quarantine of %s and are back in audio/",
            moved.n_returned,
            path,
        )
    if moved.n_quarantined:
        _LOGGER.warning(
            "no clip of %s named %d of its audio files; they are in %s: make clips of them with"
            " `minuend adopt`, or delete them with `minuend clean`",
            path,
            moved.n_quarantined,
            moved.quarantine,
        )
