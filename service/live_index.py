"""The index kept level with the catalogue, whoever wrote to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Float32, Int64

from service.catalog import Catalog
from service.index import ClipIndex
from service.locks import SharedLock
from service.snapshot import Origin, Snapshots
from service.space import Space, items


class Found(NamedTuple):
    """The nearest clips, best first.

    Attributes:
        scores: Their inner products with the query, float32 [hits].
        seqs: Their numbers, int64 [hits].
        shares: Their inner products with each term of the query, by its name, float32 [hits].
    """

    scores: np.ndarray
    seqs: np.ndarray
    shares: dict[str, np.ndarray]


class LiveIndex:
    """Searches the clips of a catalogue by where they lie in a space.

    The vectors are a cache of the catalogue: read from a snapshot if there is a good one, brought
    up to the catalogue's revision before every search, and rebuilt if that fails half way.

    Args:
        catalog: The truth.
        directory: Place of the snapshot.
        space: Where their embeddings lie.
    """

    def __init__(self, catalog: Catalog, directory: Path, *, space: Space) -> None:
        self._catalog = catalog
        self._space = space
        self._snapshots = Snapshots(
            directory, Origin(catalog.library, space.fingerprint, space.identity, space.dim)
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
        terms: Mapping[str, Float32[np.ndarray, " dim"]] | None = None,
    ) -> Found:
        """Return the nearest clips, see `ClipIndex.search`.

        Every write that was acknowledged before the call is seen.

        Args:
            query: Unit vector.
            k: Most hits.
            among: Search these clips only.
            terms: Vectors of which each hit's shares are wanted, by name.
        """
        revision = self._catalog.revision()
        while True:
            with self._lock.shared():
                if self._index is not None and self._index.revision >= revision:
                    scores, seqs = self._index.search(query, k, among=among)
                    shares = {}
                    if terms:
                        _, vectors = self._index.vectors(seqs)
                        shares = {name: vectors @ term for name, term in terms.items()}
                    return Found(scores, seqs, shares)
            self.refresh()

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

    def _load(self) -> ClipIndex:
        index = self._snapshots.load(newest=self._catalog.revision())
        if index is None:
            return ClipIndex(self._space.dim)
        self._saved_revision = index.revision
        return index

    def _catch_up(self, index: ClipIndex) -> ClipIndex:
        is_new = len(index) == 0
        with self._catalog.changes(index.revision) as changes:
            index.remove(changes.deleted)
            for seqs, embeddings in changes.batches:
                self._put(index, seqs, embeddings, is_new=is_new)
            index.revision = changes.revision
        return index

    def _put(
        self,
        index: ClipIndex,
        seqs: Int64[np.ndarray, " clips"],
        embeddings: Float16[np.ndarray, "clips embedding_dim"],
        *,
        is_new: bool,
    ) -> None:
        vectors = items(self._space, embeddings.astype(np.float32))
        if not is_new:
            # A change of a clip need not move it, and removing costs a pass over the whole index.
            is_there, before = index.vectors(seqs)
            is_placed = is_there.copy()
            is_placed[is_there] = (vectors[is_there] == before).all(axis=1)
            index.remove(seqs[is_there & ~is_placed])
            seqs, vectors = seqs[~is_placed], vectors[~is_placed]
        index.add(seqs, vectors)
