"""How fast, how true and how large is the search index as the library grows?

    python benchmarks/index.py SCENES [BUNDLE] [--sizes 10000,100000,1000000]

SCENES is a folder of `minuend-train data scenes` with embeddings by the encoder of BUNDLE, which
must have towers. The vectors are those of its clips, and points between two of them with noise; the
queries are clips composed with a text of the bundle's bank, as a search with a modifier composes
them. One query at a time, by one thread; recall at 10 against all inner products in float32. Other
libraries are measured where they are installed (usearch, voyager), up to 100,000 vectors: beyond
that they take long to build.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import results
from services import resident_mb

from service.bundle.files import Bundle, load_bundle
from service.difference import l2_normalize
from service.index.ivf_builder import build_ivf
from service.index.vector_index import EXACT_BELOW, BuildSnapshot, VectorIndex
from service.inference.embedding_space import items, make_space
from service.inference.phrases import TextBank
from service.inference.towers import AudioTower

K = 10
N_QUERIES = 200
NOISE = 0.35
PEERS_UP_TO = 100_000
BATCH = 50_000
Search = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure and write ``docs/results/index.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=results.ROOT / "models" / "default")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    given = parser.parse_args()
    clips, texts = read(given.scenes, given.bundle)
    random = np.random.default_rng(0)
    sizes = [int(size) for size in given.sizes.split(",")]
    rows = []
    for n in sizes:
        vectors = spread(clips, n, random)
        queries = compose(clips, texts, random)
        true = nearest(vectors, queries)
        for name, measured in measure_all(vectors, queries, true):
            rows.append({"vectors": n, "index": name, **measured})
            print(rows[-1])  # noqa: T201 - a benchmark tells how far it is
    results.write(
        "index",
        {
            "clips": len(clips),
            "dim": clips.shape[1],
            "queries": N_QUERIES,
            "k": K,
            "exact_below": EXACT_BELOW,
            "rows": rows,
        },
    )


def read(scenes: Path, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors of the clips of a folder of scenes, and those of the texts."""
    bundle = load_bundle(path)
    info = bundle.manifest.towers
    if info is None:
        raise SystemExit(f"{path} has no towers, so its index is not in their space")
    tower = AudioTower.open(bundle, info, device="cpu", threads=0)
    bank = TextBank.read(bundle.file(info.text_bank), info.dim)
    return items(make_space(bundle, tower), read_scenes(scenes, bundle)), bank.vectors


def read_scenes(scenes: Path, bundle: Bundle) -> np.ndarray:
    """Read the raw embeddings of the clips of a folder of scenes."""
    folder = scenes / bundle.manifest.encoder.fingerprint[:16]
    raw = [np.load(folder / f"{side}.npy") for side in ("query", "target")]
    return np.concatenate(raw).astype(np.float32)


def spread(clips: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Make n unit vectors: the clips, then points between two of them, with noise."""
    vectors = np.empty((n, clips.shape[1]), np.float32)
    vectors[: len(clips)] = clips[:n]
    scale = NOISE / np.sqrt(clips.shape[1])
    for first in range(min(len(clips), n), n, BATCH):
        size = min(BATCH, n - first)
        a, b = random.integers(0, len(clips), (2, size))
        share = random.random((size, 1), np.float32)
        noise = scale * random.standard_normal((size, clips.shape[1]), np.float32)
        vectors[first : first + size] = l2_normalize(
            share * clips[a] + (1 - share) * clips[b] + noise
        )
    return vectors


def compose(clips: np.ndarray, texts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Compose clips with texts, at strength 1."""
    return l2_normalize(
        clips[random.integers(0, len(clips), N_QUERIES)]
        + texts[random.integers(0, len(texts), N_QUERIES)]
    )


def nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the rows truly nearest to each query."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    rows = np.zeros((len(queries), K), np.int64)
    for first in range(0, len(vectors), BATCH):
        scores = np.concatenate([best, queries @ vectors[first : first + BATCH].T], axis=1)
        own = np.arange(first, first + scores.shape[1] - K)
        numbers = np.concatenate([rows, np.broadcast_to(own, (len(queries), len(own)))], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        best = np.take_along_axis(scores, order, axis=1)
        rows = np.take_along_axis(numbers, order, axis=1)
    return rows


def measure_all(
    vectors: np.ndarray, queries: np.ndarray, true: np.ndarray
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure every index there is on the same vectors and queries."""
    makers: dict[str, Callable[[np.ndarray], Search]] = {"ours": ours, "FAISS flat": flat}
    if len(vectors) <= PEERS_UP_TO:
        makers["FAISS HNSW"] = hnsw
        others = {"usearch": usearch, "voyager": voyager}
        makers |= {name: make for name, make in others.items() if find_spec(name)}
    for name, make in makers.items():
        yield name, measure(make, vectors, queries, true)


def measure(
    make: Callable[[np.ndarray], Search], vectors: np.ndarray, queries: np.ndarray, true: np.ndarray
) -> dict[str, Any]:
    """Build an index and search it one query at a time."""
    before_mb, start = resident_mb(os.getpid()), time.perf_counter()
    search = make(vectors)
    built_s = time.perf_counter() - start
    held_mb = resident_mb(os.getpid()) - before_mb
    took, found = [], []
    for query in np.concatenate([queries[:20], queries]):
        begun = time.perf_counter()
        found.append(search(query))
        took.append(1000 * (time.perf_counter() - begun))
    took, found = took[20:], found[20:]
    shares = [np.isin(rows, hits).mean() for rows, hits in zip(true, found, strict=True)]
    return {
        "recall_at_10": round(float(np.mean(shares)), 4),
        "p50_ms": round(statistics.median(took), 3),
        "p99_ms": round(float(np.quantile(took, 0.99)), 3),
        "build_s": round(built_s, 1),
        "bytes_per_vector": round(1e6 * held_mb / len(vectors)),
    }


def ours(vectors: np.ndarray) -> Search:
    """Make the index of the library, with an inverted file where it would have one."""
    index = VectorIndex(vectors.shape[1])
    if len(vectors) > EXACT_BELOW:
        index.replace_ivf(build_ivf(BuildSnapshot(np.arange(len(vectors)), vectors)))
    else:
        index.add(np.arange(len(vectors)), vectors)
    return lambda query: index.search(query, K)[1]


def flat(vectors: np.ndarray) -> Search:
    """Make the exact index of FAISS."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return _searcher(index)


def hnsw(vectors: np.ndarray) -> Search:
    """Make the graph index of FAISS as its documentation recommends it."""
    faiss.omp_set_num_threads(faiss.omp_get_max_threads())
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    index.hnsw.efSearch = 200
    return _searcher(index)


def usearch(vectors: np.ndarray) -> Search:
    """Make usearch's index with its defaults, in float32."""
    index = import_module("usearch.index").Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(vectors)), vectors)
    return lambda query: index.search(query, K, threads=1).keys


def voyager(vectors: np.ndarray) -> Search:
    """Make voyager's index with its defaults."""
    library = import_module("voyager")
    index = library.Index(library.Space.InnerProduct, num_dimensions=vectors.shape[1])
    index.add_items(vectors)
    return lambda query: index.query(query, K, num_threads=1, query_ef=200)[0]


def _searcher(index: Any) -> Search:
    def search(query: np.ndarray) -> np.ndarray:
        faiss.omp_set_num_threads(1)
        rows: np.ndarray = index.search(query[np.newaxis], K)[1][0]
        return rows

    return search


if __name__ == "__main__":
    main()
