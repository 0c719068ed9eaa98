"""The nearest-neighbour index: unit vectors by row, exact while there are few.

What was written lately is searched exactly. When that grows, an inverted file of everything is made
beside the searches, which then takes its place (`service.index.ivf_builder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import orjson
from jaxtyping import Bool, Float16, Float32, Int64

from service.index.flat import FlatIndex
from service.index.ivf import IvfRaBitQIndex
from service.row_ids import are_whole

EXACT_BELOW = 50_000
"""Vectors that are searched exactly; docs/results/index.json says what that costs."""
RECENT_SHARE = 0.2
"""Part of them that may be searched exactly beside an inverted file, before it takes them in."""
GONE_SHARE = 0.2
"""Share of vectors that are no longer good, above which the inverted file is made anew."""


_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class BuildSnapshot:
    """What an index held at one moment, to be gathered while it goes on changing.

    Attributes:
        recent: Rows and vectors that were searched exactly.
        settled: The inverted file there was, if any; its vectors do not change.
        settled_rows: The rows in it that were good.
    """

    recent: tuple[Int64[np.ndarray, " rows"], Float32[np.ndarray, "rows dim"]]
    settled: IvfRaBitQIndex | None
    settled_rows: Int64[np.ndarray, " settled"]

    def __len__(self) -> int:
        return len(self.recent[0]) + len(self.settled_rows)

    def gather(self, vectors: Float16[np.ndarray, "all dim"]) -> Int64[np.ndarray, " all"]:
        """Return all rows, ascending, and write their vectors in this order."""
        recent_rows, recent = self.recent
        rows = np.sort(np.append(self.settled_rows, recent_rows))
        vectors[np.searchsorted(rows, recent_rows)] = recent
        for first in range(0, len(self.settled_rows), _BATCH):
            assert self.settled is not None
            batch = self.settled_rows[first : first + _BATCH]
            vectors[np.searchsorted(rows, batch)] = self.settled.kept(batch)
        return rows


class VectorIndex:
    """Vectors of the clips and their windows as they were at some revision of the catalogue.

    Searches may run beside each other, but not beside a change.

    Args:
        dim: Length of a vector.
        exact_below: Vectors that are searched exactly before they are settled.

    Attributes:
        revision: Revision of the catalogue that the vectors stand for.
    """

    def __init__(self, dim: int, *, exact_below: int = EXACT_BELOW) -> None:
        self.revision = 0
        self._dim = dim
        self._exact_below = exact_below
        self._recent = FlatIndex(dim)
        self._settled: IvfRaBitQIndex | None = None
        # Rows put or removed since `unsettled` was asked; None when nothing is being settled.
        self._touched: set[int] | None = None

    def __len__(self) -> int:
        return len(self._recent) + (len(self._settled) if self._settled else 0)

    @property
    def rows(self) -> Int64[np.ndarray, " rows"]:
        """The rows of all vectors, ascending."""
        if self._settled is None:
            return self._recent.rows
        return np.sort(np.append(self._settled.rows, self._recent.rows))

    @property
    def is_exact(self) -> bool:
        """Whether every search looks at every vector."""
        return self._settled is None

    @property
    def needs_rebuild(self) -> bool:
        """Whether too many vectors are searched exactly, or too many are no longer good."""
        if self._settled is None:
            return len(self._recent) > self._exact_below
        if len(self._recent) > RECENT_SHARE * self._exact_below:
            return True
        return self._settled.n_gone > GONE_SHARE * len(self._settled)

    def add(
        self, rows: Int64[np.ndarray, " rows"], vectors: Float32[np.ndarray, "rows dim"]
    ) -> None:
        """Add vectors under rows that are not in the index."""
        self._recent.add(rows, vectors)
        self._touch(rows)

    def remove(self, rows: Sequence[int] | Int64[np.ndarray, " rows"]) -> None:
        """Remove the vectors of these rows; rows that are not there are passed over."""
        numbers = np.asarray(rows, np.int64)
        self._recent.remove(numbers)
        if self._settled is not None and len(numbers):
            self._settled.remove(numbers)
        self._touch(numbers)

    def of_clips(self, seqs: Int64[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Return the rows that are there of these clips, ascending."""
        rows = self._recent.of_clips(seqs)
        if self._settled is None:
            return rows
        return np.sort(np.append(self._settled.of_clips(seqs), rows))

    def holds(self, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        """Tell which of these rows are in the index."""
        is_recent = self._recent.holds(rows)
        return is_recent if self._settled is None else is_recent | self._settled.holds(rows)

    def vectors(
        self, rows: Int64[np.ndarray, " rows"]
    ) -> tuple[Bool[np.ndarray, " rows"], Float32[np.ndarray, "found dim"]]:
        """Tell which of these rows are in the index, and return their vectors in this order."""
        is_recent, recent = self._recent.vectors(rows)
        if self._settled is None:
            return is_recent, recent
        is_settled, settled = self._settled.vectors(rows)
        found = np.empty((len(rows), self._dim), np.float32)
        found[is_recent], found[is_settled] = recent, settled
        is_there = is_recent | is_settled
        return is_there, found[is_there]

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " rows"] | None = None,
        exact: bool = False,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return the inner products and rows of the nearest vectors, best first.

        Equal scores are ordered by row, also where only some of them fit into k: while the
        index is exact, the answer depends on what it holds and not on how it came to hold it.

        Args:
            query: Unit vector.
            k: Most hits.
            among: Search these rows only, each given once.
            exact: Look at every vector, whatever it costs.
        """
        # One query cannot be shared out, and on busy cores a team of threads takes milliseconds to
        # meet; the setting is the calling thread's own.
        faiss.omp_set_num_threads(1)
        scores, rows = self._recent.search(query, k, among=among)
        if self._settled is not None:
            more_scores, more_rows = self._settled.search(query, k, among=among, exact=exact)
            scores, rows = np.append(scores, more_scores), np.append(rows, more_rows)
        order = np.lexsort((rows, -scores))[:k]
        return scores[order], rows[order]

    def sample(self, n: int) -> tuple[Int64[np.ndarray, " rows"], Float32[np.ndarray, "rows dim"]]:
        """Return rows and vectors of at most n whole clips, evenly spaced over all, by row."""
        rows = self.rows
        rows = rows[are_whole(rows)]
        n_clips = min(n, len(rows))
        chosen = rows[np.arange(n_clips) * len(rows) // max(n_clips, 1)]
        return chosen, self.vectors(chosen)[1]

    def unsettled(self) -> BuildSnapshot:
        """Tell what there is to be built into an inverted file, and note changes from now on."""
        self._touched = set()
        rows = self._recent.rows
        settled_rows = self._settled.rows if self._settled else np.empty(0, np.int64)
        return BuildSnapshot((rows, self._recent.vectors(rows)[1]), self._settled, settled_rows)

    def settle(self, settled: IvfRaBitQIndex | None) -> None:
        """Take what was made of the last `unsettled`; what changed meanwhile keeps its change.

        Args:
            settled: None if there was nothing to make it of.
        """
        if settled is not None:
            settled.remove(np.array(sorted(self._touched or ()), np.int64))
            rows = self._recent.rows
            rows = rows[~settled.holds(rows)]
            recent = FlatIndex(self._dim)  # one that vectors are removed from keeps their memory
            recent.add(rows, self._recent.vectors(rows)[1])
            self._recent = recent
        self._settled, self._touched = settled, None

    def write(self, path: Path) -> None:
        """Write the vectors to a file.

        Raises:
            OSError: They cannot be written there.
        """
        settled = self._settled
        head = None
        if settled is not None:
            head = {
                "n_probe": settled.n_probe,
                "n_candidates": settled.n_candidates,
                "gone": settled.gone,
            }
        try:
            with path.open("wb") as file:
                file.write(orjson.dumps(head) + b"\n")
                self._recent.write(file)
                if settled is not None:
                    settled.write(file)
        except (RuntimeError, OSError) as err:
            raise OSError(f"the index cannot be written to {path}: {err}") from err

    @classmethod
    def read(
        cls, path: Path, *, dim: int, revision: int, exact_below: int = EXACT_BELOW
    ) -> VectorIndex:
        """Read vectors back from a file that `write` made; hash it first, FAISS trusts its input.

        Raises:
            ValueError: The file is no index of this length of vector.
            OSError: It cannot be read.
        """
        index = cls(dim, exact_below=exact_below)
        try:
            with path.open("rb") as file:
                head = orjson.loads(file.readline())
                index._recent = FlatIndex.read(file, dim)
                if head is not None:
                    index._settled = IvfRaBitQIndex.read(file, dim, **head)
        except (RuntimeError, TypeError, orjson.JSONDecodeError) as err:
            raise ValueError(f"it cannot be read: {err}") from err
        index.revision = revision
        return index

    def _touch(self, rows: Int64[np.ndarray, " rows"]) -> None:
        if self._touched is not None:
            self._touched.update(rows.tolist())
