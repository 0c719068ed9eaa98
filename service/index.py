"""The nearest-neighbour index: unit vectors by clip number, searched exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64


class ClipIndex:
    """Vectors of the clips as they were at some revision of the catalogue.

    Searches may run beside each other, but not beside a change.

    Args:
        dim: Length of a vector.

    Attributes:
        revision: Revision of the catalogue that the vectors stand for.
    """

    def __init__(self, dim: int) -> None:
        self.revision = 0
        self._dim = dim
        self._faiss: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def add(
        self, seqs: Int64[np.ndarray, " clips"], vectors: Float32[np.ndarray, "clips dim"]
    ) -> None:
        """Add vectors under numbers that are not in the index."""
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), seqs)

    def remove(self, seqs: Sequence[int] | Int64[np.ndarray, " clips"]) -> None:
        """Remove the vectors of these numbers; numbers that are not there are passed over."""
        if len(seqs) and len(self):
            self._faiss.remove_ids(np.asarray(seqs, np.int64))

    def vectors(
        self, seqs: Int64[np.ndarray, " clips"]
    ) -> tuple[Bool[np.ndarray, " clips"], Float32[np.ndarray, "found dim"]]:
        """Tell which of these numbers are in the index, and return their vectors in this order."""
        is_there = np.isin(seqs, faiss.vector_to_array(self._faiss.id_map))
        if not is_there.any():
            return is_there, np.empty((0, self._dim), np.float32)
        return is_there, self._faiss.reconstruct_batch(seqs[is_there])

    def search(
        self,
        query: Float32[np.ndarray, " dim"],
        k: int,
        *,
        among: Int64[np.ndarray, " clips"] | None = None,
    ) -> tuple[Float32[np.ndarray, " hits"], Int64[np.ndarray, " hits"]]:
        """Return the inner products and numbers of the nearest clips, best first.

        Equal scores are ordered by number, also where only some of them fit into k: the answer
        depends on what the index holds and not on how it came to hold it.

        Args:
            query: Unit vector.
            k: Most hits; fewer come only where fewer clips are searched.
            among: Search these clips only.
        """
        parameters = faiss.SearchParameters()
        if among is not None:
            selector = faiss.IDSelectorBatch(among)
            parameters.sel = selector
        # One query cannot be shared out, and on busy cores a team of threads takes milliseconds to
        # meet; the setting is the calling thread's own.
        faiss.omp_set_num_threads(1)
        queries = np.ascontiguousarray(query, np.float32)[np.newaxis]
        n_asked = k + 1
        while True:
            found, numbers = self._faiss.search(queries, n_asked, params=parameters)
            scores, seqs = found[0][numbers[0] >= 0], numbers[0][numbers[0] >= 0]
            if len(seqs) < n_asked or scores[k - 1] > scores[-1]:
                break
            n_asked *= 2
        order = np.lexsort((seqs, -scores))[:k]
        return scores[order], seqs[order]

    def write(self, path: Path) -> None:
        """Write the vectors to a file.

        Raises:
            OSError: They cannot be written there.
        """
        try:
            faiss.write_index(self._faiss, str(path))
        except RuntimeError as err:
            raise OSError(f"the index cannot be written to {path}: {err}") from err

    @classmethod
    def read(cls, path: Path, *, dim: int, revision: int) -> ClipIndex:
        """Read vectors back from a file that `write` made; hash it first, FAISS trusts its input.

        Raises:
            ValueError: The file is no index of this length of vector.
        """
        index = cls(dim)
        try:
            index._faiss = faiss.read_index(str(path))
        except RuntimeError as err:
            raise ValueError(f"FAISS cannot read it: {err}") from err
        if not isinstance(index._faiss, faiss.IndexIDMap2) or index._faiss.d != dim:
            raise ValueError(f"it is no flat index of {dim} dimensions")
        index.revision = revision
        return index
