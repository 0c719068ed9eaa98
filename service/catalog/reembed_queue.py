"""The clips of a catalogue that an encoder has yet to embed, while another one's vectors stay.

A clip awaits an encoder that has no vector of it, until it is known that the encoder cannot have
one: then it is left out. Both hold for the clip as it is; whoever replaces it starts anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from service.catalog.catalog import Catalog, raise_revision
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
_LEFT_OUT = (
    "EXISTS (SELECT 1 FROM unembedded WHERE unembedded.seq = clips.seq AND fingerprint = ?"
    " AND unembedded.revision = clips.revision)"
)


@dataclass(frozen=True, slots=True)
class Pending:
    """A clip without a vector of the encoder, or without windows.

    Attributes:
        seq: Its number.
        revision: The write that last changed it.
        id: Its name.
        sha256: Digest of its audio's bytes; None if it has no audio.
    """

    seq: int
    revision: int
    id: str
    sha256: str | None


class Backlog:
    """What one encoder has yet to embed.

    Args:
        catalog: Holds the clips.
        fingerprint: The encoder.
        precision: The variant of it that makes the vectors.
    """

    def __init__(self, catalog: Catalog, *, fingerprint: str, precision: str) -> None:
        self._db = catalog.database
        self._fingerprint = fingerprint
        self._precision = precision
        if not self._db.query("SELECT 1 FROM sqlite_schema WHERE name = 'unembedded'"):
            with self._db.transaction("write") as db:
                db.execute(
                    resources.files("service.catalog").joinpath("backlog.sql").read_text("utf-8")
                )

    def n_lacking(self) -> int:
        """Count the clips without a vector."""
        query = f"SELECT count(*) FROM clips WHERE {_LACKING}"
        return int(self._db.query(query, self._fingerprint)[0][0])

    def n_waiting(self) -> int:
        """Count those of them that await the encoder."""
        query = f"SELECT count(*) FROM clips WHERE {_LACKING} AND NOT {_LEFT_OUT}"
        return int(self._db.query(query, self._fingerprint, self._fingerprint)[0][0])

    def n_left_out(self) -> int:
        """Count those of them that the encoder is known not to be able to embed."""
        return self.n_lacking() - self.n_waiting()

    def other_fingerprint(self) -> str | None:
        """Return an encoder that embedded a clip which lacks a vector of ours."""
        rows = self._db.query(
            f"SELECT fingerprint FROM vectors JOIN clips USING (seq) WHERE {_LACKING} LIMIT 1",
            self._fingerprint,
        )
        return rows[0][0] if rows else None

    def n_due(self, windows_beyond_s: float) -> int:
        """Count the clips that lack a vector, or windows though they are longer than this [s]."""
        query = f"SELECT count(*) FROM clips WHERE {_DUE}"
        return int(self._db.query(query, *self._of_due(windows_beyond_s))[0][0])

    def page(self, after: int, limit: int, windows_beyond_s: float) -> list[Pending]:
        """Return clips of a number above `after` that are due, those left out included.

        Args:
            after: The number.
            limit: Most clips.
            windows_beyond_s: Clips with audio of more than this should have windows [s].
        """
        rows = self._db.query(
            f"SELECT seq, revision, id, sha256 FROM clips WHERE seq > ? AND {_DUE}"
            " ORDER BY seq LIMIT ?",
            *(after, *self._of_due(windows_beyond_s), limit),
        )
        return [Pending(*row) for row in rows]

    def add(self, vectors: Sequence[tuple[Pending, Embeddings]]) -> list[Pending]:
        """Add vectors, durably, beside those of other encoders.

        Returns:
            The clips that have theirs now: all but those that were changed or deleted meanwhile.
        """
        with self._db.transaction("write") as db:
            revision = raise_revision(db)
            added = []
            encoder = {"fingerprint": self._fingerprint, "precision": self._precision}
            for clip, embeddings in vectors:
                # The clip counts as changed, so that every index of this encoder hears of it.
                update = "UPDATE clips SET revision = ? WHERE seq = ? AND revision = ?"
                if db.execute(update, (revision, clip.seq, clip.revision)).rowcount:
                    write_vectors(db, clip.seq, embeddings, **encoder)
                    added.append(clip)
            return added

    def leave_out(self, clips: Sequence[Pending]) -> None:
        """Note, durably, that the encoder cannot embed these clips as they are."""
        with self._db.transaction("write") as db:
            db.executemany(
                "INSERT OR REPLACE INTO unembedded"
                " SELECT seq, ?, revision FROM clips WHERE seq = ? AND revision = ?",
                [(self._fingerprint, clip.seq, clip.revision) for clip in clips],
            )

    def drop_others(self) -> int:
        """Remove other encoders' vectors, durably, of the clips that have one of ours.

        Returns:
            How many there were.
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

    def _of_due(self, windows_beyond_s: float) -> tuple[str, float, str]:
        return self._fingerprint, windows_beyond_s + _ROUNDING_S, self._fingerprint


def check_encoder(path: Path, catalog: Catalog, backlog: Backlog, fingerprint: str) -> None:
    """Do nothing if an encoder has embedded all clips that it can.

    Raises:
        LibraryError: Clips await it; the catalogue is closed then.
    """
    if not (n_lacking := backlog.n_lacking()):
        return
    if n_waiting := backlog.n_waiting():
        other = backlog.other_fingerprint()
        n_clips = catalog.count()
        catalog.close()
        raise LibraryError(
            f"{n_waiting} of the {n_clips} clips in {path} were embedded by encoder {other} and not"
            f" by {fingerprint}, which is the encoder of this bundle. Run `minuend index --reembed`"
            " with this bundle, use the bundle that made the library, or another library"
        )
    _LOGGER.warning(
        "%d clips of %s are out of reach of this encoder, so that no search finds them",
        n_lacking,
        path,
    )
