"""Start-up time, memory and overhead of the service.

    .venv/service/bin/python benchmarks/start_up.py

Measures the time until the service is ready, its memory, and the size of its environment. Compares
`/embed` of a 5 s clip, with a raw body from one client, with the same decoding and encoding in this
process.
"""

from __future__ import annotations

import http.client
import importlib.util
import io
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import results
from clips import make_clips
from services import BUNDLE, resident_mb, service

from service.audio.decoding import decode
from service.bundle.files import load_bundle
from service.cli.demo.server import HOST
from service.inference.encoder import Encoder
from service.inference.precision import open_checked

STARTS = 5
REQUESTS = 30


def main() -> None:
    """Measure and write ``docs/results/service.json``."""
    (clip,) = make_clips(1, 5.0, rate_hz=16_000)
    ready_s, memory_mb, request_ms = [], [], []
    for _ in range(STARTS):
        start = time.perf_counter()
        with service() as server:
            ready_s.append(time.perf_counter() - start)
            memory_mb.append(resident_mb(server.pid))
            request_ms += [post(server.port, clip) for _ in range(REQUESTS)]
    results.write(
        "service",
        {
            "environment": {
                "size_mb": round(sum(f.stat().st_size for f in files_of(sys.prefix)) / 1e6),
                "has_torch": importlib.util.find_spec("torch") is not None,
            },
            "ready_after_s": spread(ready_s),
            "idle_memory_mb": spread(memory_mb),
            "embed_5_s_clip": {
                "over_http_ms": spread(request_ms),
                "decode_and_encode_in_process_ms": spread(time_in_process(clip)),
            },
        },
    )


def post(port: int, clip: bytes) -> float:
    """Embed a clip over HTTP and return the time [ms]."""
    headers = {"content-type": "audio/wav", "accept": "application/x-npy"}
    start = time.perf_counter()
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("POST", "/embed", clip, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != http.client.OK:
        raise SystemExit(f"/embed answered {response.status}")
    return 1000 * (time.perf_counter() - start)


def time_in_process(clip: bytes) -> list[float]:
    """Decode and encode a clip in this process; return the times [ms]."""
    encoder = open_checked(load_bundle(BUNDLE), "auto", partial(Encoder.open, device="cpu"))
    times = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        encoder.embed([decode(io.BytesIO(clip), sample_rate=encoder.sample_rate).samples])
        times.append(1000 * (time.perf_counter() - start))
    return times


def files_of(folder: str) -> list[Path]:
    """List the files below a folder."""
    return [path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]


def spread(values: list[float]) -> dict[str, float]:
    """Give the least, the median and the greatest value."""
    return {
        "min": round(min(values), 2),
        "median": round(statistics.median(values), 2),
        "max": round(max(values), 2),
    }


if __name__ == "__main__":
    main()
