"""Time of a deletion, and of a filter that half of the clips pass, in a large index.

    python benchmarks/index_changes.py [--vectors 1000000]

Synthetic unit vectors, one of each clip, are built into an inverted file. One thread searches
without a pause while another deletes clips one by one, each under the exclusive lock, as the synced
index does when it catches up with the catalogue. Then half of the clips pass a filter: measured are
the choice of their rows alone, and a search as a request makes it, which includes that choice. The
reading of the catalogue is left out. Takes 4 GB of memory and two minutes.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Any

import numpy as np
import results
from index import spread

from service.concurrency.locks import SharedLock
from service.difference import l2_normalize
from service.index.ivf_builder import build_ivf
from service.index.search import SearchRequest, nearest
from service.index.vector_index import BuildSnapshot, VectorIndex
from service.row_ids import of_whole

DIM = 512
N_BASES = 8_000
"""Vectors that all others lie between, with noise."""
N_CLUSTERS = 200
CLUSTER_SPREAD = 0.6
K = 10
N_QUERIES = 200
N_DELETIONS = 20
PAUSE_S = 0.2
"""Between two deletions."""
N_FILTERED = 20


def main() -> None:
    """Measure and write ``docs/results/index_changes.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", type=int, default=1_000_000)
    n = parser.parse_args().vectors
    random = np.random.default_rng(0)
    bases = cluster(random)
    queries = l2_normalize(np.add(*bases[random.integers(0, N_BASES, (2, N_QUERIES))]))
    index, inverted_file = build_index(spread(bases, n, random))
    results.write(
        "index_changes",
        {
            "vectors": n,
            "dim": DIM,
            "k": K,
            **inverted_file,
            "deletion": measure_deletions(index, queries, random.permutation(n)[:N_DELETIONS]),
            "filter": measure_filter(index, queries[:N_FILTERED], np.arange(0, n, 2)),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        },
    )


def cluster(random: np.random.Generator) -> np.ndarray:
    """Make unit vectors in clusters."""
    centres = random.standard_normal((N_CLUSTERS, DIM), np.float32)
    noise = CLUSTER_SPREAD * random.standard_normal((N_BASES, DIM), np.float32)
    return l2_normalize(centres[random.integers(0, N_CLUSTERS, N_BASES)] + noise)


def build_index(vectors: np.ndarray) -> tuple[VectorIndex, dict[str, Any]]:
    """Build an inverted file of all vectors, and describe it."""
    index = VectorIndex(DIM)
    start = time.perf_counter()
    inverted_file = build_ivf(BuildSnapshot(of_whole(np.arange(len(vectors))), vectors))
    build_s = time.perf_counter() - start
    index.replace_ivf(inverted_file)
    return index, {
        "lists": inverted_file.n_lists,
        "lists_searched": inverted_file.parameters.n_probe,
        "build_s": round(build_s, 1),
    }


def measure_deletions(
    index: VectorIndex, queries: np.ndarray, clips: np.ndarray
) -> dict[str, dict[str, float]]:
    """Delete clips one by one beside a thread that searches."""
    lock = SharedLock()
    is_over = Event()
    meanwhile: list[float] = []

    def search(query: np.ndarray) -> None:
        with lock.shared():
            nearest(index, SearchRequest(query, K))

    def search_on() -> None:
        while not is_over.is_set():
            meanwhile.extend(time_each(search, queries[:1]))

    def delete(clip: int) -> None:
        index.remove(index.of_clips(np.array([clip])))

    time_each(search, queries)  # loads what is loaded once
    before = time_each(search, queries)
    searcher = Thread(target=search_on)
    searcher.start()
    held: list[float] = []
    for clip in clips:
        time.sleep(PAUSE_S)
        with lock.exclusive():
            held += time_each(delete, [clip])
    time.sleep(PAUSE_S)
    is_over.set()
    searcher.join()
    return {
        "exclusive_lock_held_ms": summarise(held),
        "searches_before_ms": summarise(before),
        "searches_meanwhile_ms": summarise(meanwhile),
        # One search at a time: each deletion keeps one waiting.
        "searches_kept_waiting_ms": summarise(sorted(meanwhile)[-len(clips) :]),
        "searches_after_ms": summarise(time_each(search, queries)),
    }


def measure_filter(index: VectorIndex, queries: np.ndarray, allowed: np.ndarray) -> dict[str, Any]:
    """Search among the clips that pass a filter; and only choose their rows."""
    return {
        "allowed_clips": len(allowed),
        "choose_rows_ms": summarise(time_each(lambda query: index.of_clips(allowed), queries)),
        "request_ms": summarise(
            time_each(lambda query: nearest(index, SearchRequest(query, K, allowed)), queries)
        ),
    }


def time_each(work: Callable[[Any], object], inputs: Iterable[Any]) -> list[float]:
    """Return how long the work takes for each input [ms]."""
    took = []
    for given in inputs:
        start = time.perf_counter()
        work(given)
        took.append(1000 * (time.perf_counter() - start))
    return took


def summarise(took_ms: list[float]) -> dict[str, float]:
    """Give the number of times, their median, their 99th percentile and the greatest."""
    return {
        "measured": len(took_ms),
        "p50": round(statistics.median(took_ms), 3),
        "p99": round(float(np.quantile(took_ms, 0.99)), 3),
        "max": round(max(took_ms), 3),
    }


if __name__ == "__main__":
    main()
