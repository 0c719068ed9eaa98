"""The library of clips: what is acknowledged is on the disk, and is found.

catalog.sqlite    the truth: clips and embeddings
audio/  tmp/      stored audio, and copies on their way into it
index/            snapshot of the search index, a cache
library.lock      held by whoever changes which audio files there are
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.catalog import Catalog
from service.clips import AudioInfo, ClipRecord, NewClip, ReferencedAudio, StoredAudio
from service.cursor import decode_cursor, encode_cursor
from service.errors import ClipAudioMissingError, LibraryError
from service.filters import Filter
from service.live_index import LiveIndex
from service.locks import file_lock
from service.store import sync_directory
from service.writer import ClipWriter

__all__ = [
    "AudioInfo",
    "ClipRecord",
    "Hit",
    "Library",
    "NewClip",
    "ReferencedAudio",
    "Sample",
    "StoredAudio",
]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hit:
    """A clip found.

    Attributes:
        record: The clip.
        score: Inner product of the query and the clip's centred unit embedding, -1 to 1.
    """

    record: ClipRecord
    score: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Clips with the vectors that searches compare, as of one revision.

    Attributes:
        revision: Of the library.
        n_clips: Clips in the library.
        records: The clips of the sample, oldest first.
        vectors: Their unit vectors [clips, dim].
    """

    revision: int
    n_clips: int
    records: list[ClipRecord]
    vectors: Float32[np.ndarray, "clips dim"]


class Library:
    """One open library, for any number of threads; other processes may have it open too.

    Use `Library.open`.
    """

    def __init__(
        self,
        path: Path,
        *,
        catalog: Catalog,
        writer: ClipWriter,
        index: LiveIndex,
    ) -> None:
        self._path = path
        self._catalog = catalog
        self._writer = writer
        self._index = index

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        fingerprint: str,
        mean: Float32[np.ndarray, " dim"],
        precision: str = "float32",
        create: bool = True,
    ) -> Library:
        """Open a library, after sweeping up what a crash may have left in it.

        Args:
            path: Directory of the library.
            fingerprint: Encoder whose embeddings it holds.
            mean: Mean embedding of that encoder's training clips [dim].
            precision: Variant of the encoder that makes the embeddings put here.
            create: Make the library if there is none.

        Raises:
            LibraryError: There is none and none is to be made, it cannot be read or written, or
                it holds clips that another encoder embedded.
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
                catalog = Catalog(file, fingerprint=fingerprint, precision=precision)
            _check_encoder(path, catalog, fingerprint)
            writer = ClipWriter(path, catalog, dim=len(mean))
            index = LiveIndex(catalog, path / "index", fingerprint=fingerprint, mean=mean)
        except OSError as err:
            raise LibraryError(f"{path} cannot be used as a library: {err}") from err
        if writer.n_swept:
            _LOGGER.info("swept %d unfinished audio files from %s", writer.n_swept, path)
        return cls(path, catalog=catalog, writer=writer, index=index)

    def close(self) -> None:
        """Close the library; no call may be under way or follow."""
        self._writer.close()
        self._catalog.close()

    def put(self, clip: NewClip) -> tuple[ClipRecord, bool]:
        """Add a clip, or replace the clip of the same id, which keeps its place in the order.

        The clip and its audio are on the disk when this returns.

        Returns:
            The record, and whether the clip is new.

        Raises:
            ClipIdInvalidError: See `service.clips.check_id`.
            MetadataInvalidError: See `service.filters.check_metadata`.
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
        """Return the ids of the clips whose audio has this digest, oldest first."""
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
    ) -> list[Hit]:
        """Return the clips nearest to a query, best first; the older clip first among equals.

        Every write acknowledged before the call is seen, by whichever process it was made. A clip
        deleted while the search runs may be missing from it.

        Args:
            query: Unit vector, compared with centred embeddings; zero is near to nothing.
            k: Most hits, at least 1.
            filter: Only clips whose metadata passes; k of them if there are as many.
            exclude: Ids of clips to leave out.
        """
        if not query.any():
            return []
        among = None if filter is None else self._catalog.matching(filter)
        scores, seqs = self._index.search(query, k + len(exclude), among=among)
        records = self._catalog.records(seqs.tolist())
        hits = [
            Hit(records[seq], score)
            for seq, score in zip(seqs.tolist(), scores.tolist(), strict=True)
            if seq in records and records[seq].id not in exclude
        ]
        return hits[:k]

    def sample(self, n: int) -> Sample:
        """Return at most n clips, evenly spaced from the oldest to the newest."""
        revision, seqs, vectors = self._index.sample(n)
        found = self._catalog.records(seqs.tolist())
        # A clip may be deleted between the two reads.
        is_there = [seq in found for seq in seqs.tolist()]
        records = [found[seq] for seq in seqs.tolist() if seq in found]
        return Sample(revision, self._catalog.count(), records, vectors[is_there])

    def count(self) -> int:
        """Number of clips."""
        return self._catalog.count()

    def revision(self) -> int:
        """Number of writes so far; it differs after every write."""
        return self._catalog.revision()

    def refresh(self) -> None:
        """Bring the search index up to date, so that the next search need not."""
        self._index.refresh()

    def save_snapshot(self) -> None:
        """Save the search index, so that the next start need not build it."""
        self._index.save()


def _check_encoder(path: Path, catalog: Catalog, fingerprint: str) -> None:
    other = catalog.other_fingerprint()
    if other is not None:
        catalog.close()
        raise LibraryError(
            f"{path} holds clips embedded by encoder {other}; the encoder of this bundle is "
            f"{fingerprint}. Use the bundle that made the library, or another library"
        )
