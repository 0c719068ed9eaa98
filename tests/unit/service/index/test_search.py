"""The nearest clips and windows, against a search that looks at each in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from service.difference import l2_normalize
from service.index.ivf_builder import build
from service.index.search import SearchRequest, best_windows, nearest
from service.index.vector_index import VectorIndex
from service.row_ids import clips_of

DIM = 8
HALF = 2e-3  # half precision of unit vectors, times a few terms

Clips = dict[int, np.ndarray]
"""By number: the vector of the whole clip [0], and those of its windows [1:]."""


def make_clips(seed: int, n_clips: int, most_windows: int) -> Clips:
    """Draw clips, every other one long; the vectors of one clip lie close together."""
    random = np.random.default_rng(seed)
    clips = {}
    for seq in (1 + random.permutation(2 * n_clips)[:n_clips]).tolist():
        n_windows = int(random.integers(1, most_windows + 1)) if random.random() < 0.5 else 0
        near = random.standard_normal(DIM) + 0.3 * random.standard_normal((1 + n_windows, DIM))
        # As the index keeps it once it is settled.
        clips[seq] = l2_normalize(near.astype(np.float32)).astype(np.float16).astype(np.float32)
    return clips


def rows_of(clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    rows = [seq * 2**20 + window for seq, part in clips.items() for window in range(len(part))]
    return np.array(rows, np.int64), np.concatenate(list(clips.values()))


def recent(clips: Clips) -> VectorIndex:
    index = VectorIndex(DIM)
    index.add(*rows_of(clips))
    return index


def settled(clips: Clips) -> VectorIndex:
    """Make an index of which two thirds are settled, and a clip is gone from each part."""
    index = VectorIndex(DIM)
    names = list(clips)
    gone = {max(names) + 1: clips[names[0]], max(names) + 2: clips[names[1]]}
    first, second = names[: 2 * len(names) // 3], names[2 * len(names) // 3 :]
    rows, vectors = rows_of({seq: clips[seq] for seq in first} | gone)
    order = np.argsort(rows)
    index.settle(build(rows[order], vectors[order]))
    index.add(*rows_of({seq: clips[seq] for seq in second}))
    index.remove(index.of_clips(np.array(list(gone))))
    return index


def naive(
    clips: Clips, query: np.ndarray, among: set[int], *, every_window: bool
) -> list[tuple[float, int, int]]:
    """Return score, clip and place of all hits, best first, from their definition."""
    hits = []
    for seq in sorted(among):
        scores = [
            math.fsum(a * b for a, b in zip(query.tolist(), vector.tolist(), strict=True))
            for vector in clips[seq]
        ]
        windows = list(enumerate(scores))[1:]
        if not windows:
            hits.append((scores[0], seq, 0))
        elif every_window:
            hits += [(score, seq, window) for window, score in windows]
        else:
            place, _ = max(windows, key=lambda one: one[1])
            hits.append((max(scores), seq, place))
    return sorted(hits, key=lambda hit: -hit[0])


@pytest.mark.parametrize("every_window", [False, True])
@pytest.mark.parametrize("make", [recent, settled])
@pytest.mark.parametrize("seed", range(8))
def test_hits_are_those_of_a_search_that_looks_at_each(
    seed: int, make: Callable[[Clips], VectorIndex], every_window: bool
) -> None:
    random = np.random.default_rng(seed)
    clips = make_clips(seed, n_clips=24, most_windows=60)
    index = make(clips)
    for _ in range(20):
        query = l2_normalize(random.standard_normal(DIM).astype(np.float32))
        k = int(random.choice([1, 3, 10, 30, 1000]))
        names = np.array(list(clips))
        among = None if random.random() < 0.4 else random.permutation(names)[:8]
        without = random.permutation(names)[: random.integers(3)]
        asked = SearchRequest(query, k, among, without, every_window=every_window)

        scores, rows = nearest(index, asked, exact=True)
        places = best_windows(index, query, rows)

        searched = set(names.tolist() if among is None else among.tolist()) - set(without.tolist())
        expected = naive(clips, query, searched, every_window=every_window)[:k]
        found = list(zip(clips_of(places).tolist(), (places % 2**20).tolist(), strict=True))
        assert found == [(seq, place) for _, seq, place in expected]
        np.testing.assert_allclose(scores, [score for score, *_ in expected], atol=1e-6)


def test_there_are_k_clips_however_many_windows_of_one_come_first() -> None:
    query, other = np.eye(DIM, dtype=np.float32)[:2]
    clips = {1: np.tile(query, (721, 1))}  # an hour
    clips |= {seq: l2_normalize(other - seq * 0.1 * query)[np.newaxis] for seq in range(2, 12)}

    for index in (recent(clips), settled(clips)):
        for among in (None, np.array(list(clips))):
            _, rows = nearest(index, SearchRequest(query, 5, among), exact=True)
            assert clips_of(rows).tolist() == [1, 2, 3, 4, 5]
            _, rows = nearest(
                index, SearchRequest(query, 5, among, without=np.array([1])), exact=True
            )
            assert clips_of(rows).tolist() == [2, 3, 4, 5, 6]


def test_lists_that_hold_too_few_clips_are_not_all_that_is_looked_into() -> None:
    """Where the lists nearest to a query hold one long clip, the other clips are found as well."""
    random = np.random.default_rng(0)
    near, far = np.eye(DIM)[:2]
    long = l2_normalize((near + 0.01 * random.standard_normal((400, DIM))).astype(np.float32))
    short = l2_normalize((far + 0.01 * random.standard_normal((400, DIM))).astype(np.float32))
    clips = {1: long} | {2 + n: vector[np.newaxis] for n, vector in enumerate(short)}
    rows, vectors = rows_of(clips)
    settled_vectors = build(rows, vectors)
    settled_vectors.n_probe = 1
    index = VectorIndex(DIM)
    index.settle(settled_vectors)
    query = near.astype(np.float32)

    scores, rows = nearest(index, SearchRequest(query, 10))

    assert len(set(clips_of(rows).tolist())) == 10
    assert clips_of(rows)[0] == 1
    np.testing.assert_allclose(scores[1:], np.sort(short @ query)[::-1][:9], atol=HALF)


@pytest.mark.parametrize("every_window", [False, True])
def test_nothing_is_found_where_nothing_is(every_window: bool) -> None:
    query = np.eye(DIM, dtype=np.float32)[0]
    full, empty = recent(make_clips(0, 5, 5)), VectorIndex(DIM)
    for index, among in ((empty, None), (empty, np.array([1])), (full, np.empty(0, np.int64))):
        scores, rows = nearest(index, SearchRequest(query, 5, among, every_window=every_window))
        assert (len(scores), len(best_windows(index, query, rows))) == (0, 0)


def test_equal_hits_come_by_clip_and_then_by_time() -> None:
    query = np.eye(DIM, dtype=np.float32)[0]
    same = np.tile(query, (4, 1))
    index = recent({9: same, 4: same, 7: same[:1]})

    _, rows = nearest(index, SearchRequest(query, 10))
    assert best_windows(index, query, rows).tolist() == [4 * 2**20 + 1, 7 * 2**20, 9 * 2**20 + 1]
    _, rows = nearest(index, SearchRequest(query, 5, every_window=True))
    places = [(4, 1), (4, 2), (4, 3), (7, 0), (9, 1)]
    assert rows.tolist() == [seq * 2**20 + window for seq, window in places]
