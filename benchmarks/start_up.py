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
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import results
from clips import make_clips
from services import BUNDLE, NPY, exchange, resident_mb, service

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
            "ready_after_s": results.spread(ready_s),
            "idle_memory_mb": results.spread(memory_mb),
            "embed_5_s_clip": {
                "over_http_ms": results.spread(request_ms),
                "decode_and_encode_in_process_ms": results.spread(time_in_process(clip)),
            },
        },
    )


def post(port: int, clip: bytes) -> float:
    """Embed a clip over HTTP, on a new connection, and return the time [ms]."""
    with closing(http.client.HTTPConnection(HOST, port)) as connection:
        headers = {"content-type": "audio/wav", **NPY}
        return exchange(connection, "POST", "/embed", clip, headers)[0]


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


if __name__ == "__main__":
    main()
