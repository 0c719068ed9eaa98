"""Updates of a search index with the changes of a catalogue."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.catalog.changes import Changes
from service.index.vector_index import VectorIndex
from service.inference.embedding_space import Space, items
from service.row_ids import clips_of


def apply_changes(index: VectorIndex, changes: Changes, space: Space) -> None:
    """Apply the changes of a catalogue to an index, and set its version.

    Args:
        index: An index of the version that the changes start from.
        changes: The changes.
        space: Space of the vectors of the index.
    """
    is_empty = len(index) == 0
    if not is_empty:
        index.remove(_outdated_rows(index, changes))
    for rows, embeddings in changes.batches:
        vectors = items(space, embeddings.astype(np.float32))
        if not is_empty:
            is_new = _remove_changed(index, rows, vectors)
            rows, vectors = rows[is_new], vectors[is_new]
        index.add(rows, vectors)
    index.revision, index.token = changes.version


def _outdated_rows(index: VectorIndex, changes: Changes) -> Int64[np.ndarray, " rows"]:
    """Return the rows of changed clips that are in the index and are no longer in the catalogue."""
    changed = np.append(changes.removed, clips_of(changes.rows))
    return np.setdiff1d(index.of_clips(changed), changes.rows)


def _remove_changed(
    index: VectorIndex,
    rows: Int64[np.ndarray, " rows"],
    vectors: Float32[np.ndarray, "rows dim"],
) -> Bool[np.ndarray, " rows"]:
    """Remove the rows whose vectors differ; return which rows are now missing in the index.

    A change of a clip, for example of its metadata, need not change its vector. The index then
    keeps the vector, which would otherwise count as deleted and bring the next build nearer.
    """
    is_indexed, before = index.vectors(rows)
    is_equal = is_indexed.copy()
    is_equal[is_indexed] = _are_equal(vectors[is_indexed], before)
    index.remove(rows[is_indexed & ~is_equal])
    return ~is_equal


def _are_equal(
    a: Float32[np.ndarray, "rows dim"], b: Float32[np.ndarray, "rows dim"]
) -> Bool[np.ndarray, " rows"]:
    """Compare vectors row by row in the half precision that an inverted file keeps."""
    equal: np.ndarray = (a.astype(np.float16) == b.astype(np.float16)).all(axis=1)
    return equal
