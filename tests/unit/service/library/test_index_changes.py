from __future__ import annotations

import numpy as np
import pytest
from tiny_library import DIM, MEAN, make_clip, make_embedding

from service.catalog.changes import Version
from service.difference import centre
from service.index.vector_index import VectorIndex
from service.library.index_changes import apply_changes
from service.library.library import Library
from service.row_ids import clips_of


@pytest.fixture
def library(library: Library) -> Library:
    """Twenty clips, numbered from 1, of which many have windows."""
    library.writer.put_many(
        [make_clip(f"c{seed}", seed, stored=False, n_windows=seed % 3) for seed in range(20)]
    )
    return library


def update(index: VectorIndex, library: Library) -> VectorIndex:
    with library.catalog.changes(Version(index.revision, index.token)) as changes:
        apply_changes(index, changes, library.space)
    return index


def search_all(index: VectorIndex) -> tuple[list[float], list[int]]:
    scores, rows = index.search(centre(make_embedding(0), MEAN), 1000)
    return scores.tolist(), rows.tolist()


def test_an_updated_index_equals_a_new_one(library: Library) -> None:
    index = update(VectorIndex(DIM), library)
    assert len(index) == 20 + 19
    library.writer.put_many([make_clip("c5", 5, n_windows=1), make_clip("c8", 8)])
    assert len(update(index, library)) == 20 + 16
    library.writer.delete("c11")
    library.writer.put(make_clip("new", 11, stored=False))
    assert len(update(index, library)) == 20 + 14

    assert search_all(index) == search_all(update(VectorIndex(DIM), library))
    assert index.revision == library.catalog.revision()


def test_only_vectors_that_changed_are_removed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = update(VectorIndex(DIM), library)
    before = search_all(index)
    removed: list[int] = []
    remove = VectorIndex.remove
    monkeypatch.setattr(
        VectorIndex, "remove", lambda self, rows: (removed.extend(rows), remove(self, rows))
    )

    library.writer.put(make_clip("c5", 5, metadata={"new": 1}, stored=False, n_windows=2))
    assert search_all(update(index, library)) == before
    assert removed == []

    library.writer.put_many([make_clip("c3", 3, stored=False), make_clip("c4", 40, n_windows=1)])
    assert sorted(search_all(update(index, library))[1]) == sorted(before[1])
    assert set(clips_of(np.array(removed)).tolist()) == {5}
