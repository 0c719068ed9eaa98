"""The time that a modifier adds to a search.

    python benchmarks/modifier.py [BUNDLE]

One client searches the demo library over HTTP, alternately without a modifier, with a new text and
with a known text: by a stored clip, so that only the search is measured, and by a file of 5 s,
which is decoded and encoded as well.
"""

from __future__ import annotations

import http.client
import json
import statistics
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from urllib.parse import urlencode

import results
from clips import make_clips
from services import demo_service, exchange

from service.bundle.files import load_bundle
from service.cli.demo.server import HOST

ROUNDS = 150
WARM_UP = 10
K = 10
TEXT = "add the sound of {} and make the {} a little quieter"


def main() -> None:
    """Measure and write ``docs/results/modifier.json``."""
    path = results.bundle_path()
    bundle = load_bundle(path)
    towers = bundle.manifest.towers
    if towers is None:
        raise SystemExit(f"{path} has no towers, so there is no modifier to measure")
    with demo_service(path) as (server, n_clips):
        by_clip = measure(server.port, {"clip_id": first_clip(server.port)}, b"")
        by_file = measure(server.port, {}, make_clips(1, 5.0, rate_hz=16_000)[0])
    results.write(
        "modifier",
        {
            "bundle": bundle.manifest.id,
            "towers": towers.fingerprint,
            "text_precision": towers.text_precision,
            "text_encoder_mb": round(
                bundle.manifest.files[towers.text_encoder].size_bytes / 1e6, 1
            ),
            "clips": n_clips,
            "rounds": ROUNDS,
            "by_stored_clip": by_clip,
            "by_5_s_file": by_file,
        },
    )


def measure(port: int, fields: dict[str, str], body: bytes) -> dict[str, object]:
    """Time searches alternately and compute the time that the modifier adds [ms]."""
    times_ms: dict[str, list[float]] = {"without": [], "new_text": [], "known_text": []}
    texts = make_texts()
    connection = http.client.HTTPConnection(HOST, port)
    for round_ in range(WARM_UP + ROUNDS):
        queries = {
            "without": fields,
            "new_text": fields | {"modifier": next(texts)},
            "known_text": fields | {"modifier": "with a dog barking"},
        }
        for name, query in queries.items():
            elapsed_ms = post(connection, query, body)
            if round_ >= WARM_UP:
                times_ms[name].append(elapsed_ms)
    connection.close()
    median = {name: statistics.median(values) for name, values in times_ms.items()}
    return {
        "median_ms": {name: round(value, 2) for name, value in median.items()},
        "new_text_adds_ms": round(median["new_text"] - median["without"], 2),
        "known_text_adds_ms": round(median["known_text"] - median["without"], 2),
    }


def make_texts() -> Iterator[str]:
    """Make different texts of about ten words."""
    kinds = sorted(set(results.demo_kinds().values()))
    for pair in permutations(kinds, 2):
        yield TEXT.format(*pair)


def first_clip(port: int) -> str:
    """Return the id of the oldest clip of the library."""
    with closing(http.client.HTTPConnection(HOST, port)) as connection:
        _, content, _ = exchange(connection, "GET", "/clips?limit=1")
    clip_id: str = json.loads(content)["clips"][0]["clip_id"]
    return clip_id


def post(connection: http.client.HTTPConnection, fields: dict[str, str], body: bytes) -> float:
    """Search once and return the time [ms]."""
    headers = {"content-type": "audio/wav"} if body else {}
    path = f"/search?{urlencode({**fields, 'k': K})}"
    return exchange(connection, "POST", path, body, headers)[0]


if __name__ == "__main__":
    main()
