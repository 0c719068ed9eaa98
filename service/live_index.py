"""The index kept level with the catalogue, whoever wrote to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from service.catalog import Catalog
from service.difference import centre
from service.index import ClipIndex
from service.locks import SharedLock
from service.snapshot import Snapshots, Space


class LiveIndex:
    """Searches the clips of a catalogue by their centred embeddings.

    The vectors are a cache of the catalogue: read from a snapshot if there is a good one, brought
    up to the catalogue's revision before every search, and rebuilt if that fails half way.

    Args:
        catalog: The truth.
        directory: Place of the snapshot.
        fingerprint: Encoder of the embeddings.
        mean: Training mean that is subtracted from them [dim].
    """

    def __init__(
        self,
        catalog: Catalog,
        directory: Path,
        *,
        fingerprint: str,
        mean: Float32[np.ndarray, " dim"],
    ) -> None:
        self._catalog = catalog
        self._mean = mean
        mean_sha256 = hashlib.sha256(mean.astype("<f4").tobytes()).hexdigest()
        self._snapshots = Snapshots(
            directory, Space(catalog.library, fingerprint, mean_sha256, len(mean))
        )
        self._index: ClipIndex | None = None
        self._saved_revision: int | None = None
        self._lock = SharedLock()

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " clips"] | None = None,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return scores and numbers of the nearest clips, see `ClipIndex.search`.

        Every write that was acknowledged before the call is seen.
        """
        with self._level() as index:
            return index.search(query, k, among=among)

    def sample(
        self, n: int
    ) -> tuple[int, Int64[np.ndarray, " clips"], Float32[np.ndarray, "clips dim"]]:
        """Return the revision, and numbers and vectors of clips, see `ClipIndex.sample`."""
        with self._level() as index:
            return index.revision, *index.sample(n)

    def refresh(self) -> None:
        """Bring the index to the catalogue's revision."""
        with self._lock.exclusive():
            # Not kept while it changes: a change that broke off must not be searched.
            index, self._index = self._index, None
            self._index = self._catch_up(self._load() if index is None else index)

    def save(self) -> None:
        """Write a snapshot of the index as of now, unless the one there is as new."""
        self.refresh()
        with self._lock.shared():
            index = self._index
            if index is not None and index.revision != self._saved_revision:
                self._snapshots.save(index)
                self._saved_revision = index.revision

    @contextmanager
    def _level(self) -> Iterator[ClipIndex]:
        """Give the index, at the catalogue's revision or newer, while the context lasts."""
        revision = self._catalog.revision()
        while True:
            with self._lock.shared():
                if self._index is not None and self._index.revision >= revision:
                    yield self._index
                    return
            self.refresh()

    def _load(self) -> ClipIndex:
        index = self._snapshots.load(newest=self._catalog.revision())
        if index is None:
            return ClipIndex(len(self._mean))
        self._saved_revision = index.revision
        return index

    def _catch_up(self, index: ClipIndex) -> ClipIndex:
        is_new = len(index) == 0
        with self._catalog.changes(index.revision) as changes:
            index.remove(changes.deleted)
            for seqs, embeddings in changes.batches:
                if not is_new:
                    index.remove(seqs)
                index.add(seqs, centre(embeddings.astype(np.float32), self._mean))
            index.revision = changes.revision
        return index
