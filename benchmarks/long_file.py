"""What does an hour of audio take, and is a clip in pieces what it is as a whole?

    .venv/service/bin/python benchmarks/long_file.py [MINUTES]

The file is streamed to the service from the disk; the service may take an hour. Memory is that of
the service's process, over what it had when idle. Three minutes are embedded in pieces and, by the
graph in one run, as a whole.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import results
from services import BUNDLE, NPY, Memory, service

from service.bundle import load_bundle
from service.demo.server import HOST, Server
from service.encoder import Encoder
from service.runtime import open_session

SAMPLE_RATE_HZ = 44_100
WARM_UP_MINUTES = 1.0
WHOLE_S = 180


def main() -> None:
    """Measure and write ``docs/results/long_file.json``."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    settings = {"max_seconds": 3600.0, "max_body_bytes": 2**30, "max_pending_bytes": 2**30}
    with tempfile.TemporaryDirectory() as folder, service(**settings) as server:
        idle = Memory(server.pid).idle_mb
        lengths = {
            f"{length:g} min": measure(server, Path(folder) / "clip.wav", length, query)
            for length, query in ((WARM_UP_MINUTES, ""), (10.0, ""), (minutes, ""))
        }
        windows = measure(server, Path(folder) / "clip.wav", minutes, "?window_s=10&hop_s=5")
    results.write(
        "long_file",
        {
            "idle_mb": round(idle, 1),
            "files": lengths,
            "with_windows": windows,
            "pieces_deviate_from_whole": compare_with_whole(),
        },
    )


def measure(server: Server, path: Path, minutes: float, query: str) -> dict[str, Any]:
    """Embed a file of so many minutes."""
    write_noise(path, minutes)
    with Memory(server.pid) as memory, path.open("rb") as file:
        start = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, server.port, timeout=600)
        headers = {"content-type": "audio/wav", "content-length": str(path.stat().st_size), **NPY}
        connection.request("POST", f"/embed{query}", file, headers)
        response = connection.getresponse()
        timing = response.headers["server-timing"]
        response.read()
        connection.close()
        took_s = time.perf_counter() - start
    if response.status != http.client.OK:
        raise SystemExit(f"/embed answered {response.status}")
    return {
        "file_mb": round(path.stat().st_size / 1e6),
        "took_s": round(took_s, 2),
        "times_real_time": round(60 * minutes / took_s),
        "over_idle_mb": round(memory.peak_mb - memory.idle_mb, 1),
        "peak_mb": round(memory.peak_mb, 1),
        "server_timing": timing,
    }


def write_noise(path: Path, minutes: float) -> None:
    """Write noise minute by minute."""
    generator = np.random.default_rng(0)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        for _ in range(round(minutes * 6)):
            samples = generator.integers(-3000, 3000, 10 * SAMPLE_RATE_HZ, dtype=np.int16)
            out.writeframes(samples.tobytes())


def compare_with_whole() -> float:
    """Return the largest deviation of a clip in pieces, of the largest value of the whole."""
    bundle = load_bundle(BUNDLE)
    encoder = Encoder.open(bundle, device="cpu")
    generator = np.random.default_rng(0)
    clip = (0.1 * generator.standard_normal(WHOLE_S * encoder.sample_rate)).astype(np.float32)
    session = open_session(bundle.file(bundle.manifest.encoder.file), device="cpu")
    inputs = {"waveform": clip[None], "lengths": np.array([clip.size])}
    (whole,) = session.run(inputs, ["embedding"])
    deviation = np.abs(encoder.embed([clip]) - whole).max() / np.abs(whole).max()
    return float(f"{deviation:.2g}")


if __name__ == "__main__":
    main()
