"""The search index of a library, kept up to date with the catalogue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from service.catalog.catalog import Catalog
from service.catalog.changes import Version
from service.concurrency.background_task import BackgroundTask
from service.concurrency.locks import SharedLock
from service.errors import NotReadyError
from service.index.ivf_builder import build_ivf, release_freed_memory
from service.index.recall_monitor import RecallMonitor
from service.index.search import SearchRequest, best_windows, nearest
from service.index.snapshot import Origin, Snapshots
from service.index.vector_index import EXACT_BELOW, VectorIndex
from service.inference.embedding_space import Space
from service.library.index_changes import apply_changes
from service.row_ids import clips_of

SLICE_ROWS = 25_000
"""Vectors that an exact search for the recall monitor compares under one lock."""

_LOGGER = logging.getLogger(__name__)
_NO_ROWS = np.empty(0, np.int64)


class IndexHits(NamedTuple):
    """Hits of a search of the index, best first.

    Attributes:
        scores: Inner product of the query and the nearest row of each hit, float32 [hits].
        rows: Row of each hit: a window, or a clip that has none, see `service.row_ids`.
        shares: Inner product of each term of the query, by name, and the nearest row of each hit.
    """

    scores: np.ndarray
    rows: np.ndarray
    shares: dict[str, np.ndarray]

    @property
    def seqs(self) -> Int64[np.ndarray, " hits"]:
        """The numbers of the clips."""
        return clips_of(self.rows)


class SyncedIndex:
    """Searches the clips of a catalogue, and their windows, by their vectors in a space.

    The index is a cache of the catalogue. It is read from a snapshot if there is a good one,
    brought to the version of the catalogue before every search, and built again if an update fails
    or if the catalogue does not know its version, for example after a restore of an older copy.

    Args:
        catalog: The source of truth.
        directory: Folder of the snapshot.
        space: Space of the vectors that are compared.
        exact_below: Number of vectors up to which every search compares all of them.

    Attributes:
        recall_monitor: Measures the recall of searches where the index is not exact.
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
        self._size = (Version(-1, 0), 0)  # version and number of vectors after the last update
        self._saved: Version | None = None
        self._has_failed = False
        self._lock = SharedLock()
        self._updating = BackgroundTask()
        self._building = BackgroundTask()
        self.recall_monitor = RecallMonitor(self._search_exactly)

    def search(
        self, request: SearchRequest, terms: Mapping[str, Float32[np.ndarray, " dim"]] | None = None
    ) -> IndexHits:
        """Return the nearest clips or windows, see `service.index.search`.

        Every write that was acknowledged before the call is seen.

        Args:
            request: The search.
            terms: Terms of the query by name; each hit gets its inner product with each of them.
        """
        with self._up_to_date() as index:
            scores, rows = nearest(index, request)
            shares = {}
            if terms:
                _, vectors = index.vectors(rows)
                shares = {name: vectors @ term for name, term in terms.items()}
            shown = best_windows(index, request.query, rows)
            is_exact = index.is_exact
        if not is_exact:
            self.recall_monitor.offer(request, rows)
        return IndexHits(scores, shown, shares)

    def n_vectors(self) -> int:
        """Count the vectors that a search compares, without waiting for any search or update."""
        version, n_vectors = self._size
        return n_vectors if version == self._catalog.version() else self._catalog.n_vectors()

    def sample(
        self, n: int
    ) -> tuple[Version, Int64[np.ndarray, " clips"], Float32[np.ndarray, "clips dim"]]:
        """Return the version, and numbers and vectors of clips, see `VectorIndex.sample`."""
        with self._up_to_date() as index:
            rows, vectors = index.sample(n)
            return _version(index), clips_of(rows), vectors

    def refresh(self) -> None:
        """Bring the index to the revision of the catalogue."""
        with self._lock.exclusive():
            # Kept apart while it changes: after a failure, a half-changed index is not searched.
            index, self._index = self._index, None
            self._has_failed = False
            try:
                self._index = self._update(self._load() if index is None else index)
            except BaseException:
                self._has_failed = True
                raise
            self._size = _version(self._index), len(self._index)
            if self._index.needs_rebuild:
                self._building.start(self._build_ivf)

    def refresh_in_background(self) -> None:
        """Start to bring the index to the revision of the catalogue in a background thread.

        For many clips at once, for which the next search would have to wait. Updates clip by clip
        cost more than one update for all, so single clips wait for the next search.
        """
        self._updating.start(self._refresh_until_current)

    def save(self) -> None:
        """Write a snapshot of the index as of now, unless the saved one has the same version.

        The snapshot is a cache: if it cannot be written, that is logged and no error.
        """
        self.refresh()
        with self._lock.shared():
            index = self._index
            if index is not None and _version(index) != self._saved:
                try:
                    self._snapshots.save(index)
                except OSError as err:
                    _LOGGER.warning("the index snapshot is not saved, and is made again: %s", err)
                    return
                self._saved = _version(index)

    def check(self) -> None:
        """Raise an error if the last update failed, and start another in the background.

        Raises:
            NotReadyError: The index is not up to date; the next search tries to update it, too.
        """
        if self._has_failed:
            self.refresh_in_background()
            raise NotReadyError("the search index could not be updated; it is built again")

    def wait(self) -> None:
        """Wait until no background work is running."""
        self._updating.wait()
        self._building.wait()

    def close(self) -> None:
        """Stop the work in the background; no search may be running or follow."""
        self._updating.stop()
        self._building.stop()
        self.recall_monitor.stop()

    @contextmanager
    def _up_to_date(self) -> Iterator[VectorIndex]:
        """Context manager: yields the index, at least at the version of the catalogue."""
        wanted = self._catalog.version()
        while True:
            with self._lock.shared():
                if self._index is not None and self._has(wanted, self._index):
                    yield self._index
                    return
            self.refresh()

    def _has(self, wanted: Version, index: VectorIndex) -> bool:
        """Tell whether an index is at a version of the catalogue, or at a later one."""
        version = _version(index)
        if version == wanted:
            return True
        # Either an update came between, or the file of the catalogue was replaced by an older one.
        return version.revision > wanted.revision and self._catalog.knows(version)

    def _load(self) -> VectorIndex:
        """Return the index of the snapshot, or an empty one."""
        index = self._snapshots.load(
            is_known=lambda revision, token: self._catalog.knows(Version(revision, token)),
            exact_below=self._exact_below,
        )
        if index is None:
            return self._empty()
        self._saved = _version(index)
        return index

    def _empty(self) -> VectorIndex:
        return VectorIndex(self._space.dim, exact_below=self._exact_below)

    def _update(self, index: VectorIndex) -> VectorIndex:
        """Return the index with the changes of the catalogue since its version."""
        with self._catalog.changes(_version(index)) as changes:
            if changes.since != index.revision:
                _LOGGER.info(
                    "index of revision %d is too old or of another copy of the catalogue: building"
                    " the index",
                    index.revision,
                )
                index = self._empty()
            apply_changes(index, changes, self._space)
        return index

    def _refresh_until_current(self, is_stopped: Callable[[], bool]) -> None:
        """Refresh until no write was committed during the last refresh."""
        seen: Version | None = None
        while not is_stopped() and seen != (newest := self._catalog.version()):
            self.refresh()
            seen = newest

    def _build_ivf(self, is_stopped: Callable[[], bool]) -> None:
        """Build inverted files, while searches run, until no other is needed."""
        while self._build_ivf_once(is_stopped):
            release_freed_memory()

    def _build_ivf_once(self, is_stopped: Callable[[], bool]) -> bool:
        with self._lock.shared():
            index = self._index
            if index is None or not index.needs_rebuild:
                return False
            content = index.build_snapshot()
        ivf = build_ivf(content, is_stopped=is_stopped) if len(content) else None
        with self._lock.exclusive():
            if self._index is index:
                index.replace_ivf(ivf)
                self._saved = None
        return True

    def _search_exactly(self, request: SearchRequest) -> Int64[np.ndarray, " hits"]:
        """Return the rows of the true hits of a search, for the recall monitor.

        The clips are compared in slices, each under a lock of its own: an update, and the searches
        that wait for it, never wait for the whole scan. Nothing is returned without an index.
        """
        with self._lock.shared():
            index = self._index
            if index is None:
                return _NO_ROWS
            rows = index.ids if request.allowed is None else index.of_clips(request.allowed)
        found = [(np.empty(0, np.float32), _NO_ROWS)]
        for clips in _slices(rows):
            with self._lock.shared():
                if self._index is None:
                    return _NO_ROWS
                found.append(nearest(self._index, replace(request, allowed=clips), exact=True))
        scores, hits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        best: np.ndarray = hits[np.lexsort((hits, -scores))[: request.k]]
        return best


def _version(index: VectorIndex) -> Version:
    return Version(index.revision, index.token)


def _slices(rows: Int64[np.ndarray, " rows"]) -> Iterator[Int64[np.ndarray, " clips"]]:
    """Yield the numbers of the clips of ascending rows, in parts of about `SLICE_ROWS` rows."""
    clips = clips_of(rows)
    firsts = np.flatnonzero(np.diff(clips, prepend=-1))
    bounds = np.searchsorted(firsts, np.arange(SLICE_ROWS, len(rows), SLICE_ROWS))
    return filter(len, np.split(clips[firsts], bounds))
