"""The nearest clips and windows, compared with a naive search in float64."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from service.difference import l2_normalize
from service.index.ivf import IvfParameters
from service.index.ivf_builder import build_ivf
from service.index.search import SearchRequest, best_windows, nearest
from service.index.vector_index import BuildSnapshot, VectorIndex
from service.row_ids import clips_of

DIM = 8
HALF = 2e-3  # half precision of unit vectors, times a few terms

Clips = dict[int, np.ndarray]
"""By number: the vector of the whole clip [0], and those of its windows [1:]."""


def make_clips(seed: int, n_clips: int, most_windows: int) -> Clips:
    """Return random clips, half of them with windows; the vectors of one clip are similar."""
    random = np.random.default_rng(seed)
    clips = {}
    for number in (1 + random.permutation(2 * n_clips)[:n_clips]).tolist():
        n_windows = int(random.integers(1, most_windows + 1)) if random.random() < 0.5 else 0
        near = random.standard_normal(DIM) + 0.3 * random.standard_normal((1 + n_windows, DIM))
        # Rounded as an inverted file stores it.
        clips[number] = l2_normalize(near.astype(np.float32)).astype(np.float16).astype(np.float32)
    return clips


def rows_of(clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    rows = [clip * 2**20 + window for clip, part in clips.items() for window in range(len(part))]
    return np.array(rows, np.int64), np.concatenate(list(clips.values()))


def flat_index(clips: Clips) -> VectorIndex:
    index = VectorIndex(DIM)
    index.add(*rows_of(clips))
    return index


def ivf_index(clips: Clips) -> VectorIndex:
    """Return an index with two thirds of the clips, and two deleted ones, in an inverted file."""
    index = VectorIndex(DIM)
    numbers = list(clips)
    deleted = {max(numbers) + 1: clips[numbers[0]], max(numbers) + 2: clips[numbers[1]]}
    first, second = numbers[: 2 * len(numbers) // 3], numbers[2 * len(numbers) // 3 :]
    rows, vectors = rows_of({number: clips[number] for number in first} | deleted)
    order = np.argsort(rows)
    index.replace_ivf(build_ivf(BuildSnapshot(rows[order], vectors[order])))
    index.add(*rows_of({number: clips[number] for number in second}))
    index.remove(index.of_clips(np.array(list(deleted))))
    return index


def naive(
    clips: Clips, query: np.ndarray, searched: set[int], *, every_window: bool
) -> list[tuple[float, int, int]]:
    """Return score, clip and best window of all hits, best first, from their definition."""
    hits = []
    for number in sorted(searched):
        scores = [
            math.fsum(a * b for a, b in zip(query.tolist(), vector.tolist(), strict=True))
            for vector in clips[number]
        ]
        windows = list(enumerate(scores))[1:]
        if not windows:
            hits.append((scores[0], number, 0))
        elif every_window:
            hits += [(score, number, window) for window, score in windows]
        else:
            window, _ = max(windows, key=lambda item: item[1])
            hits.append((max(scores), number, window))
    return sorted(hits, key=lambda hit: -hit[0])


@pytest.mark.parametrize("every_window", [False, True])
@pytest.mark.parametrize("make", [flat_index, ivf_index])
@pytest.mark.parametrize("seed", range(8))
def test_hits_are_those_of_a_naive_search(
    seed: int, make: Callable[[Clips], VectorIndex], every_window: bool
) -> None:
    random = np.random.default_rng(seed)
    clips = make_clips(seed, n_clips=24, most_windows=60)
    index = make(clips)
    for _ in range(20):
        query = l2_normalize(random.standard_normal(DIM).astype(np.float32))
        k = int(random.choice([1, 3, 10, 30, 1000]))
        numbers = np.array(list(clips))
        allowed = None if random.random() < 0.4 else random.permutation(numbers)[:8]
        excluded = random.permutation(numbers)[: random.integers(3)]
        request = SearchRequest(query, k, allowed, excluded, every_window=every_window)

        scores, rows = nearest(index, request, exact=True)
        shown = best_windows(index, query, rows)

        searched = set((numbers if allowed is None else allowed).tolist()) - set(excluded.tolist())
        expected = naive(clips, query, searched, every_window=every_window)[:k]
        found = list(zip(clips_of(shown).tolist(), (shown % 2**20).tolist(), strict=True))
        assert found == [(number, window) for _, number, window in expected]
        np.testing.assert_allclose(scores, [score for score, *_ in expected], atol=1e-6)


def test_there_are_k_clips_however_many_windows_of_one_come_first() -> None:
    query, other = np.eye(DIM, dtype=np.float32)[:2]
    clips = {1: np.tile(query, (721, 1))}  # an hour
    clips |= {seq: l2_normalize(other - seq * 0.1 * query)[np.newaxis] for seq in range(2, 12)}

    for index in (flat_index(clips), ivf_index(clips)):
        for allowed in (None, np.array(list(clips))):
            request = SearchRequest(query, 5, allowed)
            _, rows = nearest(index, request, exact=True)
            assert clips_of(rows).tolist() == [1, 2, 3, 4, 5]
            _, rows = nearest(index, replace(request, excluded=np.array([1])), exact=True)
            assert clips_of(rows).tolist() == [2, 3, 4, 5, 6]


def test_clips_are_found_where_the_nearest_lists_hold_too_few() -> None:
    """The list nearest to the query holds the windows of one long clip only."""
    random = np.random.default_rng(0)
    near, far = np.eye(DIM)[:2]
    long = l2_normalize((near + 0.01 * random.standard_normal((400, DIM))).astype(np.float32))
    short = l2_normalize((far + 0.01 * random.standard_normal((400, DIM))).astype(np.float32))
    clips = {1: long} | {2 + n: vector[np.newaxis] for n, vector in enumerate(short)}
    rows, vectors = rows_of(clips)
    ivf = build_ivf(BuildSnapshot(rows, vectors))
    ivf.parameters = IvfParameters(1, ivf.parameters.n_candidates)
    index = VectorIndex(DIM)
    index.replace_ivf(ivf)
    query = near.astype(np.float32)

    scores, rows = nearest(index, SearchRequest(query, 10))

    assert len(set(clips_of(rows).tolist())) == 10
    assert clips_of(rows)[0] == 1
    np.testing.assert_allclose(scores[1:], np.sort(short @ query)[::-1][:9], atol=HALF)


def test_a_search_for_more_rows_does_not_look_at_every_row() -> None:
    """Libraries with windows need more rows in most searches. A copy of all takes 8 bytes each."""
    n_rows, query = 100_000, np.eye(DIM, dtype=np.float32)[0]
    clips = {1: np.tile(query, (100, 1))}
    clips[2] = l2_normalize(
        np.random.default_rng(0).standard_normal((n_rows, DIM)).astype(np.float32)
    )
    index = flat_index(clips)
    index.add(np.arange(3, 20) << 20, np.tile(-query, (17, 1)))
    request = SearchRequest(query, 2)
    expected = nearest(index, request)[1].tolist()

    tracemalloc.start()
    rows = nearest(index, request)[1]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert clips_of(rows).tolist() == [1, 2]
    assert rows.tolist() == expected
    assert peak_bytes < 8 * n_rows


@pytest.mark.parametrize("every_window", [False, True])
def test_a_search_of_no_clips_finds_none(every_window: bool) -> None:
    query = np.eye(DIM, dtype=np.float32)[0]
    full, empty = flat_index(make_clips(0, 5, 5)), VectorIndex(DIM)
    for index, allowed in ((empty, None), (empty, np.array([1])), (full, np.empty(0, np.int64))):
        scores, rows = nearest(index, SearchRequest(query, 5, allowed, every_window=every_window))
        assert (len(scores), len(best_windows(index, query, rows))) == (0, 0)


def test_equal_hits_are_ordered_by_clip_and_then_by_time() -> None:
    query = np.eye(DIM, dtype=np.float32)[0]
    same = np.tile(query, (4, 1))
    index = flat_index({9: same, 4: same, 7: same[:1]})

    _, rows = nearest(index, SearchRequest(query, 10))
    assert best_windows(index, query, rows).tolist() == [4 * 2**20 + 1, 7 * 2**20, 9 * 2**20 + 1]
    _, rows = nearest(index, SearchRequest(query, 5, every_window=True))
    expected = [(4, 1), (4, 2), (4, 3), (7, 0), (9, 1)]
    assert rows.tolist() == [number * 2**20 + window for number, window in expected]
