"""How fast does a library take embeddings, and how are searches while it grows?

    .venv/service/bin/python benchmarks/library.py SCENES [--sizes 10000,60000]

SCENES is a folder of `minuend-train data scenes` with embeddings by the default bundle's encoder.
Embeddings between two of its clips, with noise, are sent to `/clips/bulk` by one client, a thousand
at a time; an answer says that they are on the disk. Another client searches with an embedding and
a text, while the library grows and after each size alone. Its hits are compared with all inner
products over what had been stored when the search began and what it found besides.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import results
from services import BUNDLE, service

from service.bundle import Bundle, load_bundle
from service.composition import compose
from service.demo.server import HOST, Server
from service.difference import unit
from service.space import items, make_space
from service.towers import Towers

BATCH = 1000
NOISE = 0.35
K = 10
N_SEARCHES = 200
TEXTS = ("with a dog barking", "and louder rain", "without the traffic", "a bell, but further away")


class Judge:
    """Knows what a search should find.

    Args:
        bundle: Whose towers search.
        embeddings: Of all clips that will be stored, by number [clips dim].
    """

    def __init__(self, bundle: Bundle, embeddings: np.ndarray) -> None:
        towers = Towers.open(bundle, device="cpu")
        if towers is None:
            raise SystemExit("the default bundle has no towers")
        self._space = make_space(bundle, towers.audio)
        self._texts = [unit_text(towers, text) for text in TEXTS]
        self._items = np.concatenate(
            [
                items(self._space, embeddings[first : first + BATCH])
                for first in range(0, len(embeddings), BATCH)
            ]
        )

    def recall(self, embedding: np.ndarray, text: int, found: list[int], n_stored: int) -> float:
        """Return the share of the true best ten that was found."""
        sound = unit(self._space.place(embedding[np.newaxis])[0])
        query = compose({"audio": sound, "modifier": self._texts[text]}).vector
        later = [number for number in found if number >= n_stored]
        scores = self._items @ query
        numbers = np.concatenate([np.arange(n_stored), np.array(later, np.int64)])
        true = numbers[np.argsort(-scores[numbers], kind="stable")[:K]]
        return float(np.isin(true, found).mean())


def unit_text(towers: Towers, text: str) -> np.ndarray:
    """Return the vector of a text at length 1."""
    encoded = towers.text.encode(text)
    assert encoded is not None
    vector: np.ndarray = unit(encoded.vector)
    return vector


class Growth:
    """Uploads in a thread of its own.

    Attributes:
        n_stored: Clips that are known to be stored.
    """

    def __init__(self, server: Server, bodies: list[bytes]) -> None:
        self._port = server.port
        self._bodies = bodies
        self._thread = threading.Thread(target=self._upload)
        self.n_stored = 0
        self.took_s = 0.0
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether everything is stored."""
        return not self._thread.is_alive()

    def _upload(self) -> None:
        start = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, self._port, timeout=120)
        for body in self._bodies:
            ask(connection, "/clips/bulk", body, "application/x-ndjson")
            self.n_stored += BATCH
        self.took_s = time.perf_counter() - start


def main() -> None:
    """Measure and write ``docs/results/library.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--sizes", default="10000,60000")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    bundle = load_bundle(BUNDLE)
    random = np.random.default_rng(0)
    embeddings = spread(read(given.scenes, bundle), sizes[-1], random)
    judge = Judge(bundle, embeddings)
    bodies = [write_lines(bundle, embeddings, first) for first in range(0, sizes[-1], BATCH)]
    rows, n_before = [], 0
    with service(max_bulk_clips=BATCH) as server:
        for size in sizes:
            growth = Growth(server, bodies[n_before // BATCH : size // BATCH])
            while_growing = Searches(server, judge, embeddings, random)
            while not growth.is_over:
                while_growing.one(n_before + growth.n_stored)
            alone = Searches(server, judge, embeddings, random)
            for _ in range(N_SEARCHES):
                alone.one(size)
            rows.append(
                {
                    "clips": size,
                    "stored_per_s": round((size - n_before) / growth.took_s),
                    "searches_while_growing": while_growing.figures(),
                    "searches_alone": alone.figures(),
                }
            )
            n_before = size
    results.write("library", {"dim": embeddings.shape[1], "k": K, "rows": rows})


class Searches:
    """Searches one after another, and what came of them."""

    def __init__(
        self, server: Server, judge: Judge, embeddings: np.ndarray, random: np.random.Generator
    ) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        self._judge = judge
        self._embeddings = embeddings
        self._random = random
        self._took_ms: list[float] = []
        self._search_ms: list[float] = []
        self._found: list[tuple[int, int, list[int], int]] = []

    def one(self, n_stored: int) -> None:
        """Search once, while at least so many clips are stored."""
        if n_stored < K:
            time.sleep(0.01)
            return
        number = int(self._random.integers(n_stored))
        text = int(self._random.integers(len(TEXTS)))
        query = {
            "embedding": to_base64(self._embeddings[number]),
            "modifier": TEXTS[text],
            "k": K,
        }
        start = time.perf_counter()
        answer, timing = ask(self._connection, "/search", json.dumps(query).encode())
        self._took_ms.append(1000 * (time.perf_counter() - start))
        self._search_ms.append(float(timing.partition("search;dur=")[2].partition(",")[0]))
        found = [int(hit["clip_id"]) for hit in answer["hits"]]
        self._found.append((number, text, found, n_stored))

    def figures(self) -> dict[str, Any]:
        """Return what is reported."""
        if not self._found:
            return {"searches": 0}
        recalls = [
            self._judge.recall(self._embeddings[number], *rest) for number, *rest in self._found
        ]
        return {
            "searches": len(self._took_ms),
            "p50_ms": round(statistics.median(self._took_ms), 2),
            "p99_ms": round(float(np.quantile(self._took_ms, 0.99)), 2),
            "p50_ms_of_the_search_alone": round(statistics.median(self._search_ms), 2),
            "recall_at_10": round(float(np.mean(recalls)), 4),
        }


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    body: bytes,
    media_type: str = "application/json",
) -> tuple[Any, str]:
    """Send a request and return its answer and where its time went."""
    connection.request("POST", path, body, {"content-type": media_type})
    response = connection.getresponse()
    content = response.read()
    if response.status >= 300:
        raise SystemExit(f"{path} answered {response.status}: {content[:500]!r}")
    return json.loads(content), response.headers["server-timing"]


def read(scenes: Path, bundle: Bundle) -> np.ndarray:
    """Return the raw embeddings of the clips of a folder of scenes."""
    folder = scenes / bundle.manifest.encoder.fingerprint[:16]
    raw = [np.load(folder / f"{side}.npy") for side in ("query", "target")]
    return np.concatenate(raw).astype(np.float32)


def spread(clips: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Make n embeddings between two clips, with noise."""
    made = np.empty((n, clips.shape[1]), np.float32)
    scale = NOISE * clips.std(axis=0)
    for first in range(0, n, BATCH):
        a, b = random.integers(0, len(clips), (2, BATCH))
        share = random.random((BATCH, 1), np.float32)
        noise = scale * random.standard_normal((BATCH, clips.shape[1]), np.float32)
        made[first : first + BATCH] = share * clips[a] + (1 - share) * clips[b] + noise
    return made


def write_lines(bundle: Bundle, embeddings: np.ndarray, first: int) -> bytes:
    """Write the lines of one upload."""
    fingerprint = bundle.manifest.encoder.fingerprint
    return b"\n".join(
        json.dumps(
            {
                "id": str(number),
                "fingerprint": fingerprint,
                "embedding": to_base64(embeddings[number]),
            }
        ).encode()
        for number in range(first, min(first + BATCH, len(embeddings)))
    )


def to_base64(embedding: np.ndarray) -> str:
    """Write an embedding as the service reads it."""
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode("ascii")


if __name__ == "__main__":
    main()
