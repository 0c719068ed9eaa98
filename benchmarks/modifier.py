"""What does a modifier cost a search?

    python benchmarks/modifier.py [BUNDLE]

Searches over the demo library by one client over HTTP, taking turns: without a modifier, with a
text that was never sent before, and with one that was. Once by a stored clip, where the search is
all there is, and once by a file of 5 s, which is decoded and encoded as well.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import results

from service.bundle.files import load_bundle
from service.cli.demo.server import HOST, Server, choose_port
from service.cli.index import index_folder
from service.settings import Settings

DEMO = results.ROOT / "service" / "demo"
ROUNDS = 150
WARM_UP = 10
K = 10
TEXT = "add the sound of {} and make the {} a little quieter"


def main() -> None:
    """Measure and write ``docs/results/modifier.json``."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else results.ROOT / "models" / "default"
    bundle = load_bundle(path)
    towers = bundle.manifest.towers
    if towers is None:
        raise SystemExit(f"{path} has no towers, so there is no modifier to measure")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        settings = Settings(bundle=path, library=library, device="cpu")
        n_clips = index_folder(settings, DEMO / "clips", None).n_clips
        with Server(
            port=choose_port(0),
            bundle=path,
            library=library,
            device="cpu",
            log=Path(folder) / "log",
        ) as server:
            server.wait_ready()
            by_clip = measure(server.port, {"clip_id": first_clip(server.port)}, b"")
            by_file = measure(server.port, {}, make_clip())
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
    """Time searches in turns and tell what the modifier adds [ms]."""
    took: dict[str, list[float]] = {"without": [], "new_text": [], "known_text": []}
    texts = make_texts()
    connection = http.client.HTTPConnection(HOST, port)
    for round_ in range(WARM_UP + ROUNDS):
        queries = {
            "without": fields,
            "new_text": fields | {"modifier": next(texts)},
            "known_text": fields | {"modifier": "with a dog barking"},
        }
        for name, query in queries.items():
            took_ms = post(connection, query, body)
            if round_ >= WARM_UP:
                took[name].append(took_ms)
    connection.close()
    median = {name: statistics.median(times) for name, times in took.items()}
    return {
        "median_ms": {name: round(value, 2) for name, value in median.items()},
        "new_text_adds_ms": round(median["new_text"] - median["without"], 2),
        "known_text_adds_ms": round(median["known_text"] - median["without"], 2),
    }


def make_texts() -> Iterator[str]:
    """Make texts of about ten words, no two of them alike."""
    with (DEMO / "clips.csv").open(newline="", encoding="utf-8") as lines:
        kinds = sorted({row["kind"] for row in csv.DictReader(lines)})
    for pair in permutations(kinds, 2):
        yield TEXT.format(*pair)


def first_clip(port: int) -> str:
    """Name the oldest clip of the library."""
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("GET", "/clips?limit=1")
    clip_id: str = json.loads(connection.getresponse().read())["clips"][0]["clip_id"]
    connection.close()
    return clip_id


def make_clip() -> bytes:
    """Make five seconds of noise as a WAV file."""
    samples = np.random.default_rng(0).integers(-3000, 3000, 5 * 16_000, dtype=np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def post(connection: http.client.HTTPConnection, fields: dict[str, str], body: bytes) -> float:
    """Search once and return how long it took [ms]."""
    headers = {"content-type": "audio/wav"} if body else {}
    path = f"/search?{urlencode({**fields, 'k': K})}"
    start = time.perf_counter()
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    took_ms = 1000 * (time.perf_counter() - start)
    if response.status != http.client.OK:
        raise SystemExit(f"/search answered {response.status}: {answer.decode()}")
    return took_ms


if __name__ == "__main__":
    main()
