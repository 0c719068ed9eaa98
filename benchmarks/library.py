"""Speed of storing embeddings in a library, and of searches while it grows.

    .venv/service/bin/python benchmarks/library.py SCENES [--sizes 10000,100000,1000000]

SCENES is a folder of `minuend-train data scenes` with embeddings by the default bundle's encoder.
One client sends embeddings to `/clips/bulk`, a thousand at a time; they lie between two clips of
the folder, with noise. When the service answers, they are on the disk. Another client searches with
an embedding and a text: while the library grows, and at each size alone after the index has been
built. The hits of some searches are compared with an exact search over the clips that were stored
when the search began and those that it found besides.

A million clips need several GB of disk and of memory, and a quarter of an hour.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import results
from services import BUNDLE, resident_mb, send, service, tree_cpu_s

from service.bundle.files import Bundle, load_bundle
from service.cli.demo.server import HOST, Server
from service.difference import l2_normalize
from service.inference.embedding_space import items, make_space
from service.inference.towers import Towers
from service.retrieval.query import compose

BATCH = 1000
NOISE = 0.35
K = 10
N_SEARCHES = 200
N_COMPARED = 500
QUERY_EVERY = 97
"""One clip in so many is used as a query."""
IDLE_S = 3.0
IDLE_SHARE = 0.05
TEXTS = ("with a dog barking", "and louder rain", "without the traffic", "a bell, but further away")


class Clips:
    """Reproducible embeddings of any number of clips, a thousand at a time.

    Args:
        real: Raw embeddings, between two of which each of them lies [clips dim].
    """

    def __init__(self, real: np.ndarray) -> None:
        self._real = real
        self._scale = NOISE * real.std(axis=0)

    def batch(self, first: int) -> np.ndarray:
        """Return the embeddings of a thousand clips from a number on [BATCH dim]."""
        random = np.random.default_rng(first)
        a, b = random.integers(0, len(self._real), (2, BATCH))
        share = random.random((BATCH, 1), np.float32)
        noise = self._scale * random.standard_normal((BATCH, self._real.shape[1]), np.float32)
        embeddings: np.ndarray = share * self._real[a] + (1 - share) * self._real[b] + noise
        return embeddings


class ExactSearch:
    """Exact search, which the hits of the service are compared with.

    Attributes:
        queries: Embeddings of the clips that are used as queries, by the number of the clip.
    """

    def __init__(self, bundle: Bundle, clips: Clips, n_clips: int) -> None:
        towers = Towers.open(bundle, device="cpu")
        if towers is None:
            raise SystemExit("the default bundle has no towers")
        self._space = make_space(bundle, towers.audio)
        self._texts = [text_vector(towers, text) for text in TEXTS]
        self._items = np.empty((n_clips, self._space.dim), np.float32)
        self.queries: dict[int, np.ndarray] = {}
        for first in range(0, n_clips, BATCH):
            embeddings = clips.batch(first)
            self._items[first : first + BATCH] = items(self._space, embeddings)
            for number in range(first, first + BATCH):
                if number % QUERY_EVERY == 0:
                    self.queries[number] = embeddings[number - first].copy()

    def recall(self, number: int, text: int, found: list[int], n_stored: int) -> float:
        """Compute the share of the ten best clips among `found`, the numbers of the hits."""
        audio = l2_normalize(self._space.project(self.queries[number][np.newaxis])[0])
        query = compose({"audio": audio, "modifier": self._texts[text]}).vector
        later = np.array([number for number in found if number >= n_stored], np.int64)
        scores = np.append(self._items[:n_stored] @ query, self._items[later] @ query)
        numbers = np.append(np.arange(n_stored), later)
        true = numbers[np.argsort(-scores, kind="stable")[:K]]
        return float(np.isin(true, found).mean())


def text_vector(towers: Towers, text: str) -> np.ndarray:
    """Compute the unit vector of a text."""
    encoded = towers.text.encode(text)
    assert encoded is not None
    vector: np.ndarray = l2_normalize(encoded.vector)
    return vector


class Uploader:
    """Uploads from its own process, so that searches wait for the service only."""

    def __init__(self, port: int, clips: Clips, fingerprint: str, numbers: range) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._stored = spawn.Value("q", 0)
        self._elapsed_s = spawn.Value("d", 0.0)
        self._process = spawn.Process(
            target=upload,
            args=(port, clips, fingerprint, numbers, self._stored, self._elapsed_s),
        )
        self._process.start()

    @property
    def is_over(self) -> bool:
        """Tell whether everything is stored.

        Raises:
            SystemExit: An upload failed.
        """
        if self._process.exitcode:
            raise SystemExit("an upload failed")
        return self._process.exitcode == 0

    @property
    def n_stored(self) -> int:
        """Number of clips that are certainly stored."""
        return int(self._stored.value)

    @property
    def elapsed_s(self) -> float:
        """Time of the uploads, without that of making their bodies [s]."""
        return float(self._elapsed_s.value)


def upload(
    port: int, clips: Clips, fingerprint: str, numbers: range, stored: Any, elapsed_s: Any
) -> None:
    """Send the batches that begin at these numbers, and count the stored clips."""
    connection = http.client.HTTPConnection(HOST, port, timeout=120)
    for number in numbers:
        body = write_lines(fingerprint, clips.batch(number), number)
        headers = {"content_type": "application/x-ndjson"}
        elapsed_s.value += send(connection, "POST", "/clips/bulk", body, **headers)[0]
        stored.value += BATCH


def main() -> None:
    """Measure and write ``docs/results/library.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    bundle = load_bundle(BUNDLE)
    fingerprint = bundle.manifest.encoder.fingerprint
    real = read(arguments.scenes, bundle)
    clips = Clips(real)
    exact = ExactSearch(bundle, clips, sizes[-1])
    random = np.random.default_rng(0)
    rows, n_before = [], 0
    with service(max_bulk_clips=BATCH) as server:
        idle_mb = resident_mb(server.pid)
        for size in sizes:
            uploader = Uploader(server.port, clips, fingerprint, range(n_before, size, BATCH))
            while_growing = Searches(server, exact, random)
            while not uploader.is_over:
                while_growing.search(n_before + uploader.n_stored)
            idle_after_s = wait_idle(server)
            alone = Searches(server, exact, random)
            for _ in range(N_SEARCHES):
                alone.search(size)
            rows.append(
                {
                    "clips": size,
                    "stored_per_s": round((size - n_before) / uploader.elapsed_s),
                    "searches_while_growing": while_growing.figures(),
                    "settled_after_s": round(idle_after_s, 1),
                    "searches_alone": alone.figures(),
                    "over_idle_mb": round(resident_mb(server.pid) - idle_mb),
                }
            )
            n_before = size
    results.write("library", {"dim": real.shape[1], "k": K, "rows": rows})


def wait_idle(server: Server) -> float:
    """Wait until the service has no background work left; return the time until then [s]."""
    start = time.perf_counter()
    while True:
        before = tree_cpu_s(server.pid)
        time.sleep(IDLE_S)
        if tree_cpu_s(server.pid) - before < IDLE_SHARE * IDLE_S:
            return time.perf_counter() - start - IDLE_S


class Searches:
    """Searches one after another, with their times and hits."""

    def __init__(self, server: Server, exact: ExactSearch, random: np.random.Generator) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        self._exact = exact
        self._random = random
        self._numbers = np.array(sorted(exact.queries))
        self._took_ms: list[float] = []
        self._search_ms: list[float] = []
        self._found: list[tuple[int, int, list[int], int]] = []

    def search(self, n_stored: int) -> None:
        """Search once; at least `n_stored` clips are stored."""
        if n_stored < K:
            time.sleep(0.01)
            return
        number = int(self._random.choice(self._numbers[self._numbers < n_stored]))
        text = int(self._random.integers(len(TEXTS)))
        query = {
            "embedding": to_base64(self._exact.queries[number]),
            "modifier": TEXTS[text],
            "k": K,
        }
        body, headers = json.dumps(query).encode(), {"content_type": "application/json"}
        took_s, timing, content = send(self._connection, "POST", "/search", body, **headers)
        self._took_ms.append(1000 * took_s)
        self._search_ms.append(float(timing.partition("search;dur=")[2].partition(",")[0]))
        found = [int(hit["clip_id"]) for hit in json.loads(content)["hits"]]
        self._found.append((number, text, found, n_stored))

    def figures(self) -> dict[str, Any]:
        """Compute the figures of the results file."""
        if not self._found:
            return {"searches": 0}
        n_compared = min(N_COMPARED, len(self._found))
        compared = self._random.choice(len(self._found), n_compared, replace=False)
        recalls = [self._exact.recall(*self._found[number]) for number in compared]
        return {
            "searches": len(self._took_ms),
            "p50_ms": round(statistics.median(self._took_ms), 2),
            "p99_ms": round(float(np.quantile(self._took_ms, 0.99)), 2),
            "p50_ms_of_the_search_alone": round(statistics.median(self._search_ms), 2),
            "recalls_measured": n_compared,
            "recall_at_10": round(float(np.mean(recalls)), 4),
        }


def read(scenes: Path, bundle: Bundle) -> np.ndarray:
    """Read the raw embeddings of the clips of a folder of scenes."""
    folder = scenes / bundle.manifest.encoder.fingerprint[:16]
    raw = [np.load(folder / f"{side}.npy") for side in ("query", "target")]
    return np.concatenate(raw).astype(np.float32)


def write_lines(fingerprint: str, embeddings: np.ndarray, first: int) -> bytes:
    """Write the lines of one upload."""
    return b"\n".join(
        json.dumps(
            {"id": str(number), "fingerprint": fingerprint, "embedding": to_base64(embedding)}
        ).encode()
        for number, embedding in enumerate(embeddings, first)
    )


def to_base64(embedding: np.ndarray) -> str:
    """Encode an embedding as base64."""
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode("ascii")


if __name__ == "__main__":
    main()
