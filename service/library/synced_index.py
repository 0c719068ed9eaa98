"""The index kept level with the catalogue, whoever wrote to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64

from service.catalog.catalog import Catalog
from service.concurrency.background_task import BackgroundTask
from service.concurrency.locks import SharedLock
from service.index.ivf_builder import build_ivf, release_freed_memory
from service.index.recall_monitor import RecallMonitor
from service.index.search import SearchRequest, best_windows, nearest
from service.index.snapshot import Origin, Snapshots
from service.index.vector_index import EXACT_BELOW, VectorIndex
from service.inference.embedding_space import Space, items
from service.row_ids import clips_of


class Found(NamedTuple):
    """The hits of a search, best first.

    Attributes:
        scores: Inner products of the query and the nearest row of each, float32 [hits].
        rows: Where each was found: a window, or a clip that has none, see `service.row_ids`.
        shares: Inner products of each term of the query, by its name, and the nearest row of each.
    """

    scores: np.ndarray
    rows: np.ndarray
    shares: dict[str, np.ndarray]

    @property
    def seqs(self) -> Int64[np.ndarray, " hits"]:
        """The numbers of the clips."""
        return clips_of(self.rows)


class SyncedIndex:
    """Searches the clips of a catalogue, and their windows, by where they lie in a space.

    The vectors are a cache of the catalogue: read from a snapshot if there is a good one, brought
    up to the catalogue's revision before every search, and rebuilt if that fails half way.

    Args:
        catalog: The truth.
        directory: Place of the snapshot.
        space: Where their embeddings lie.
        exact_below: Vectors up to which every search looks at all of them.

    Attributes:
        audit: Measures the recall of live searches, where the index is not exact.
    """

    def __init__(
        self,
        catalog: Catalog,
        directory: Path,
        *,
        space: Space,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        self._catalog = catalog
        self._space = space
        self._exact_below = exact_below
        self._snapshots = Snapshots(
            directory, Origin(catalog.library, space.fingerprint, space.identity, space.dim)
        )
        self._index: VectorIndex | None = None
        self._saved_revision: int | None = None
        self._lock = SharedLock()
        self._following = BackgroundTask()
        self._settling = BackgroundTask()
        self.audit = RecallMonitor(self._search_exactly)

    def search(
        self, asked: SearchRequest, terms: Mapping[str, Float32[np.ndarray, " dim"]] | None = None
    ) -> Found:
        """Return the nearest clips or windows, see `service.index.search`.

        Every write that was acknowledged before the call is seen.

        Args:
            asked: The search.
            terms: Vectors of which each hit's shares are wanted, by name.
        """
        with self._up_to_date() as index:
            scores, rows = nearest(index, asked)
            shares = {}
            if terms:
                _, vectors = index.vectors(rows)
                shares = {name: vectors @ term for name, term in terms.items()}
            places = best_windows(index, asked.query, rows)
            is_exact = index.is_exact
        if not is_exact:
            self.audit.offer(asked, rows)
        return Found(scores, places, shares)

    def n_vectors(self) -> int:
        """Count the vectors that a search compares: those of clips and of windows."""
        with self._up_to_date() as index:
            return len(index)

    def sample(
        self, n: int
    ) -> tuple[int, Int64[np.ndarray, " clips"], Float32[np.ndarray, "clips dim"]]:
        """Return the revision, and numbers and vectors of clips, see `VectorIndex.sample`."""
        with self._up_to_date() as index:
            rows, vectors = index.sample(n)
            return index.revision, clips_of(rows), vectors

    def refresh(self) -> None:
        """Bring the index to the catalogue's revision."""
        with self._lock.exclusive():
            # Not kept while it changes: a change that broke off must not be searched.
            index, self._index = self._index, None
            self._index = self._catch_up(self._load() if index is None else index)
            if self._index.needs_rebuild:
                self._settling.start(self._settle)

    def follow(self) -> None:
        """Begin to bring the index to the catalogue's revision beside the callers."""
        self._following.start(self._follow)

    def save(self) -> None:
        """Write a snapshot of the index as of now, unless the one there is as new."""
        self.refresh()
        with self._lock.shared():
            index = self._index
            if index is not None and index.revision != self._saved_revision:
                self._snapshots.save(index)
                self._saved_revision = index.revision

    def settled(self) -> None:
        """Wait until nothing is done in the background."""
        self._following.wait()
        self._settling.wait()

    def close(self) -> None:
        """Give up what is done in the background; no search is under way or follows."""
        self._following.stop()
        self._settling.stop()
        self.audit.stop()

    def _follow(self, is_stopped: Callable[[], bool]) -> None:
        """Refresh until no write has come meanwhile."""
        seen = -1
        while not is_stopped() and seen < (newest := self._catalog.revision()):
            self.refresh()
            seen = newest

    def _settle(self, is_stopped: Callable[[], bool]) -> None:
        """Make inverted files beside the searches, each to take the place of the one before."""
        while self._settle_once(is_stopped):
            release_freed_memory()

    def _settle_once(self, is_stopped: Callable[[], bool]) -> bool:
        with self._lock.shared():
            index = self._index
            if index is None or not index.needs_rebuild:
                return False
            unsettled = index.build_snapshot()
        settled = build_ivf(unsettled, is_stopped=is_stopped) if len(unsettled) else None
        with self._lock.exclusive():
            if self._index is index:
                index.replace_ivf(settled)
                self._saved_revision = None
        return True

    def _search_exactly(self, asked: SearchRequest) -> Int64[np.ndarray, " hits"]:
        with self._up_to_date() as index:
            return nearest(index, asked, exact=True)[1]

    @contextmanager
    def _up_to_date(self) -> Iterator[VectorIndex]:
        """Give the index, at the catalogue's revision or newer, while the context lasts."""
        revision = self._catalog.revision()
        while True:
            with self._lock.shared():
                if self._index is not None and self._index.revision >= revision:
                    yield self._index
                    return
            self.refresh()

    def _load(self) -> VectorIndex:
        index = self._snapshots.load(newest=self._catalog.revision(), exact_below=self._exact_below)
        if index is None:
            return VectorIndex(self._space.dim, exact_below=self._exact_below)
        self._saved_revision = index.revision
        return index

    def _catch_up(self, index: VectorIndex) -> VectorIndex:
        is_new = len(index) == 0
        with self._catalog.changes(index.revision) as changes:
            if not is_new:
                changed = np.append(changes.gone, clips_of(changes.rows))
                index.remove(np.setdiff1d(index.of_clips(changed), changes.rows))
            for rows, embeddings in changes.batches:
                self._put(index, rows, embeddings, is_new=is_new)
            index.revision = changes.revision
        return index

    def _put(
        self,
        index: VectorIndex,
        rows: Int64[np.ndarray, " rows"],
        embeddings: Float16[np.ndarray, "rows embedding_dim"],
        *,
        is_new: bool,
    ) -> None:
        vectors = items(self._space, embeddings.astype(np.float32))
        if not is_new:
            # A change of a clip need not move it, and removing costs a pass over the whole index.
            is_there, before = index.vectors(rows)
            is_placed = is_there.copy()
            is_placed[is_there] = _are_equal(vectors[is_there], before)
            index.remove(rows[is_there & ~is_placed])
            rows, vectors = rows[~is_placed], vectors[~is_placed]
        index.add(rows, vectors)


def _are_equal(
    a: Float32[np.ndarray, "clips dim"], b: Float32[np.ndarray, "clips dim"]
) -> Bool[np.ndarray, " clips"]:
    """Compare vectors row by row in the half precision that an inverted file keeps."""
    equal: np.ndarray = (a.astype(np.float16) == b.astype(np.float16)).all(axis=1)
    return equal
