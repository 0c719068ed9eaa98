from __future__ import annotations

import numpy as np
from tiny_library import MEAN, make_clip, make_embedding

from service.difference import centre
from service.library.library import Library
from service.library.sampler import sample_clips


def fill(library: Library, n: int) -> None:
    library.writer.put_many([make_clip(f"c{seed}", seed, stored=False) for seed in range(n)])


def test_the_sample_of_a_small_library_is_all_clips_in_order(library: Library) -> None:
    fill(library, 9)

    sample = sample_clips(library, 50)

    assert [record.id for record in sample.records] == [f"c{seed}" for seed in range(9)]
    vectors = np.stack([centre(make_embedding(seed), MEAN) for seed in range(9)])
    np.testing.assert_allclose(sample.vectors, vectors, atol=1e-6)
    assert (sample.n_clips, sample.revision) == (9, library.catalog.revision())


def test_a_large_library_is_sampled_evenly(library: Library) -> None:
    fill(library, 40)

    sample = sample_clips(library, 4)

    assert [record.id for record in sample.records] == ["c0", "c10", "c20", "c30"]
    assert sample.n_clips == 40


def test_writes_and_deletions_are_seen(library: Library) -> None:
    fill(library, 3)
    sample_clips(library, 10)

    library.writer.delete("c1")
    library.writer.put(make_clip("new", 7, stored=False))

    assert [record.id for record in sample_clips(library, 10).records] == ["c0", "c2", "new"]
