"""The clips that an encoder still has to embed, while vectors of other encoders stay in use.

A clip without a vector of the encoder is in the queue until it is marked as unembeddable. The mark
holds for the clip as it is: a clip that is replaced is in the queue again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from service.catalog.catalog import Catalog
from service.catalog.changes import next_revision
from service.catalog.integrity import find_damaged_clips
from service.catalog.vectors import Embeddings, write_vectors
from service.errors import LibraryError

_LOGGER = logging.getLogger(__name__)
_BATCH_VECTORS = 1024
_LACKING = "NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.seq = clips.seq AND fingerprint = ?)"
_DUE = (
    f"({_LACKING} OR source <> 'vector' AND duration_s > ? AND NOT EXISTS"
    " (SELECT 1 FROM windows WHERE windows.seq = clips.seq AND fingerprint = ?))"
)
_ROUNDING_S = 0.1
"""A clip that is longer by no more than this may have been rounded to one without windows [s]."""
_UNEMBEDDABLE = (
    "EXISTS (SELECT 1 FROM unembedded WHERE unembedded.seq = clips.seq AND fingerprint = ?"
    " AND unembedded.revision = clips.revision)"
)


@dataclass(frozen=True, slots=True)
class QueuedClip:
    """A clip without a vector of the encoder, or without windows.

    Attributes:
        seq: Number of the clip.
        revision: The write that last changed it.
        id: Its id.
        sha256: Digest of its audio file; None if it has no audio.
    """

    seq: int
    revision: int
    id: str
    sha256: str | None


class ReembedQueue:
    """The clips that one encoder still has to embed.

    Args:
        catalog: The catalogue of the clips.
        fingerprint: The encoder.
        precision: Variant of the encoder that makes the vectors.
    """

    def __init__(self, catalog: Catalog, *, fingerprint: str, precision: str) -> None:
        self._catalog = catalog
        self._db = catalog.database
        self._fingerprint = fingerprint
        self._precision = precision

    def n_lacking(self) -> int:
        """Count the clips without a vector of the encoder."""
        query = f"SELECT count(*) FROM clips WHERE {_LACKING}"
        return int(self._db.query(query, self._fingerprint)[0][0])

    def n_waiting(self) -> int:
        """Count the clips without a vector of the encoder that are not marked as unembeddable."""
        query = f"SELECT count(*) FROM clips WHERE {_LACKING} AND NOT {_UNEMBEDDABLE}"
        return int(self._db.query(query, self._fingerprint, self._fingerprint)[0][0])

    def other_fingerprint(self) -> str | None:
        """Return another encoder that has embedded a clip without a vector of this encoder."""
        rows = self._db.query(
            f"SELECT fingerprint FROM vectors JOIN clips USING (seq) WHERE {_LACKING} LIMIT 1",
            self._fingerprint,
        )
        return rows[0][0] if rows else None

    def n_due(self, windows_beyond_s: float) -> int:
        """Count the clips without a vector, and the longer clips without windows.

        Args:
            windows_beyond_s: Longest audio that needs no windows [s].
        """
        query = f"SELECT count(*) FROM clips WHERE {_DUE}"
        return int(self._db.query(query, *self._due_parameters(windows_beyond_s))[0][0])

    def page(self, after: int, limit: int, windows_beyond_s: float) -> list[QueuedClip]:
        """Return due clips with a number above `after`, unembeddable ones included.

        Args:
            after: The number.
            limit: Most clips.
            windows_beyond_s: Longest audio that needs no windows [s].
        """
        rows = self._db.query(
            f"SELECT seq, revision, id, sha256 FROM clips WHERE seq > ? AND {_DUE}"
            " ORDER BY seq LIMIT ?",
            *(after, *self._due_parameters(windows_beyond_s), limit),
        )
        return [QueuedClip(*row) for row in rows]

    def damaged(self) -> list[QueuedClip]:
        """Read all embeddings by the encoder; return the clips of which one is damaged."""
        seqs = orjson.dumps(find_damaged_clips(self._db, self._fingerprint)).decode()
        rows = self._db.query(
            "SELECT seq, revision, id, sha256 FROM clips"
            " WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
            seqs,
        )
        return [QueuedClip(*row) for row in rows]

    def add(self, vectors: Sequence[tuple[QueuedClip, Embeddings]]) -> list[QueuedClip]:
        """Add vectors, durably, beside those of other encoders; they replace damaged ones.

        Returns:
            The clips whose vectors were added: all but those that were changed or deleted since
            they were read from the queue.
        """
        with self._db.transaction("write") as db:
            revision = next_revision(db)
            added = []
            encoder = {"fingerprint": self._fingerprint, "precision": self._precision}
            for clip, embeddings in vectors:
                # The clip counts as changed, so that every index of this encoder reads its vector.
                update = "UPDATE clips SET revision = ? WHERE seq = ? AND revision = ?"
                if db.execute(update, (revision, clip.seq, clip.revision)).rowcount:
                    write_vectors(db, clip.seq, embeddings, **encoder)
                    added.append(clip)
        self._catalog.damage.forget(clip.id for clip in added)
        return added

    def mark_unembeddable(self, clips: Sequence[QueuedClip]) -> None:
        """Note, durably, that the encoder cannot embed these clips as they are."""
        with self._db.transaction("write") as db:
            db.executemany(
                "INSERT OR REPLACE INTO unembedded"
                " SELECT seq, ?, revision FROM clips WHERE seq = ? AND revision = ?",
                [(self._fingerprint, clip.seq, clip.revision) for clip in clips],
            )

    def drop_others(self) -> int:
        """Remove the vectors of other encoders, durably, of clips that have one of this encoder.

        Returns:
            Number of removed vectors.
        """
        n_dropped = 0
        while True:
            with self._db.transaction("write") as db:
                n_batch = db.execute(
                    "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors AS other"
                    " WHERE fingerprint <> ?1 AND EXISTS (SELECT 1 FROM vectors AS ours"
                    " WHERE ours.seq = other.seq AND ours.fingerprint = ?1) LIMIT ?2)",
                    (self._fingerprint, _BATCH_VECTORS),
                ).rowcount
            n_dropped += n_batch
            if n_batch < _BATCH_VECTORS:
                return n_dropped

    def check_complete(self, library: Path) -> None:
        """Raise an error unless the encoder has embedded every clip that it can embed.

        Args:
            library: Folder of the library, for messages.

        Raises:
            LibraryError: Clips wait for the encoder.
        """
        if not (n_lacking := self.n_lacking()):
            return
        if n_waiting := self.n_waiting():
            raise LibraryError(
                f"{n_waiting} of the {self._catalog.count()} clips in {library} were embedded by"
                f" encoder {self.other_fingerprint()} and not by {self._fingerprint}, which is the"
                " encoder of this bundle. Run `minuend index --reembed` with this bundle, use the"
                " bundle that made the library, or another library"
            )
        _LOGGER.warning(
            "%d clips of %s cannot be embedded by this encoder, so no search finds them",
            n_lacking,
            library,
        )

    def _due_parameters(self, windows_beyond_s: float) -> tuple[str, float, str]:
        return self._fingerprint, windows_beyond_s + _ROUNDING_S, self._fingerprint
