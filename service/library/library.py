"""The library of clips: when a write returns, its clip is on the disk and can be found.

catalog.sqlite    the source of truth: clips and embeddings
audio/  tmp/      stored audio files, and unfinished copies of audio files
index/            snapshot of the search index, a cache
library.lock      held while the set of audio files is changed
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.catalog.catalog import Catalog
from service.catalog.filters import Filter
from service.catalog.log_check import recover_log
from service.catalog.pagination import decode_cursor, encode_cursor
from service.catalog.reembed_queue import ReembedQueue
from service.clips import ClipRecord
from service.concurrency.durable import sync_directory
from service.concurrency.locks import file_lock
from service.errors import ClipAudioMissingError, LibraryError
from service.index.search import SearchRequest
from service.inference.embedding_space import Space
from service.library.hits import Hit, read_hits
from service.library.synced_index import SyncedIndex
from service.library.writer import ClipWriter

_LOGGER = logging.getLogger(__name__)


class Library:
    """One open library, for any number of threads; other processes may have it open as well.

    Use `Library.open`.

    Attributes:
        catalog: Records and embeddings of the clips.
        writer: Adds and removes clips.
        index: Search index of the clips, kept up to date with the catalogue.
        reembed_queue: Clips that the encoder still has to embed.
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
        self.writer = writer
        self.index = SyncedIndex(catalog, path / "index", space=space)
        self.reembed_queue = queue
        self.space = space

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
        """Open a library, and remove the files that a crash may have left in it.

        Args:
            path: Folder of the library.
            space: Space in which clips are searched; it names the encoder of their embeddings.
            precision: Variant of the encoder that makes the embeddings put here.
            create: Make the library if there is none.
            reembedding: Open it even if clips wait for this encoder.

        Raises:
            LibraryError: There is no library and `create` is false; it cannot be read or written;
                or it holds clips that this encoder could embed and only another one has. Clips
                that this encoder cannot embed are no error: searches do not find them.
        """
        path = path.absolute()
        file = path / "catalog.sqlite"
        if not create and not file.exists():
            raise LibraryError(f"{path} is no library: it has no {file.name}")
        encoder = {"fingerprint": space.fingerprint, "precision": precision}
        try:
            if not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                sync_directory(path.parent)
            with ExitStack() as opened:
                with file_lock(path / "library.lock"):
                    recover_log(file)
                    catalog = Catalog(file, **encoder)
                opened.callback(catalog.close)
                queue = ReembedQueue(catalog, **encoder)
                if not reembedding:
                    queue.check_complete(path)
                writer = ClipWriter(path, catalog, dim=space.embedding_dim)
                opened.callback(writer.close)
                library = cls(path, catalog=catalog, writer=writer, space=space, queue=queue)
                opened.pop_all()  # from here on, `close` closes them
        except OSError as err:
            raise LibraryError(f"{path} cannot be used as a library: {err}") from err
        if writer.n_orphans:
            _LOGGER.info("removed %d unfinished audio files from %s", writer.n_orphans, path)
        return library

    def close(self) -> None:
        """Close the library; no call may be running or follow."""
        self.index.close()
        self.writer.close()
        self.catalog.close()

    def open_audio(self, clip_id: str) -> Path:
        """Return the path of the audio file of a clip, which is as it was uploaded or imported.

        Raises:
            ClipUnknownError: There is no clip of this id.
            ClipAudioMissingError: It has no audio, or the file is gone.
        """
        record = self.catalog.get(clip_id)
        if record.path is None:
            raise ClipAudioMissingError(f"clip {clip_id!r} was added as a vector, without audio")
        path = self._path / record.path
        if not path.is_file():
            raise ClipAudioMissingError(f"the {record.source} audio of clip {clip_id!r} is missing")
        return path

    def page(
        self, cursor: str | None = None, limit: int = 100, filter: Filter | None = None
    ) -> tuple[list[ClipRecord], str | None]:
        """Return clips in the order in which they were first put.

        A clip that exists during the whole listing comes exactly once, whatever is written between
        the pages.

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
        records = [record for _, record in rows[:limit]]
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
        A clip that is changed or deleted during the search may be missing.

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
        request = SearchRequest(
            query,
            k,
            allowed=None if filter is None else self.catalog.matching(filter),
            excluded=self.catalog.seqs(exclude),
            every_window=every_window,
            is_modified=bool(terms),
        )
        return read_hits(self.catalog, self.index.search(request, terms))
