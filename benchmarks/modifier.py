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
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from urllib.parse import urlencode

import results
from clips import make_clips
from services import send, serve

from service.bundle.files import load_bundle
from service.cli.demo.server import HOST
from service.cli.index import index_folder
from service.settings import Settings

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
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(bundle=path, library=Path(folder) / "library", device="cpu")
        n_clips = index_folder(settings, results.DEMO / "clips", None).n_clips
        with serve(path, Path(folder)) as server:
            connection = http.client.HTTPConnection(HOST, server.port)
            clips = json.loads(send(connection, "GET", "/clips?limit=1")[2])["clips"]
            by_clip = measure(connection, {"clip_id": clips[0]["clip_id"]}, b"")
            by_file = measure(connection, {}, make_clips(1, 5.0, rate_hz=16_000)[0])
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


def measure(
    connection: http.client.HTTPConnection, fields: dict[str, str], body: bytes
) -> dict[str, object]:
    """Time searches alternately and compute the time that the modifier adds [ms]."""
    times_ms: dict[str, list[float]] = {"without": [], "new_text": [], "known_text": []}
    texts = make_texts()
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
    median = {name: statistics.median(values) for name, values in times_ms.items()}
    return {
        "median_ms": {name: round(value, 2) for name, value in median.items()},
        "new_text_adds_ms": round(median["new_text"] - median["without"], 2),
        "known_text_adds_ms": round(median["known_text"] - median["without"], 2),
    }


def make_texts() -> Iterator[str]:
    """Make different texts of about ten words."""
    for pair in permutations(sorted({row["kind"] for row in results.read_demo()}), 2):
        yield TEXT.format(*pair)


def post(connection: http.client.HTTPConnection, fields: dict[str, str], body: bytes) -> float:
    """Search once and return the time [ms]."""
    headers = {"content_type": "audio/wav"} if body else {}
    path = f"/search?{urlencode({**fields, 'k': K})}"
    return 1000 * send(connection, "POST", path, body, **headers)[0]


if __name__ == "__main__":
    main()
