"""What does an hour of audio take, and is a clip in pieces what it is as a whole?

    .venv/service/bin/python benchmarks/long_file.py

Files of a second to an hour, one at a time. They are streamed to the service from the disk; the
service may take an hour. Memory is that of the service's process, over what it had when idle; of
short files the median of several requests is given. Three minutes are embedded in pieces and, by
the graph in one run, as a whole.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import results
from services import BUNDLE, NPY, Memory, service

from service.bundle.files import load_bundle
from service.cli.demo.server import HOST, Server
from service.inference.encoder import Encoder
from service.inference.onnx_session import open_session

SAMPLE_RATE_HZ = 44_100
LENGTHS_S = (1, 2, 5, 10, 30, 60, 180, 600, 3600)
SHORT_S = 60
TIMES = 9
WHOLE_S = 180


def main() -> None:
    """Measure and write ``docs/results/long_file.json``."""
    settings = {"max_seconds": 3600.0, "max_body_bytes": 2**30, "max_pending_bytes": 2**30}
    with tempfile.TemporaryDirectory() as folder, service(**settings) as server:
        path = Path(folder) / "clip.wav"
        idle = Memory(server.pid).idle_mb
        precision = read_precision(server)
        measure(server, path, SHORT_S, "")
        files = {f"{length} s": measure(server, path, length, "") for length in LENGTHS_S}
        windows = measure(server, path, LENGTHS_S[-1], "?window_s=10&hop_s=5")
    results.write(
        "long_file",
        {
            "precision": precision,
            "idle_mb": round(idle, 1),
            "files": files,
            "with_windows": windows,
            "pieces_deviate_from_whole": compare_with_whole(),
        },
    )


def measure(server: Server, path: Path, length_s: int, query: str) -> dict[str, Any]:
    """Embed a file of so many seconds; a short one several times."""
    write_noise(path, length_s)
    with Memory(server.pid) as memory:
        asked = [ask(server, path, query) for _ in range(TIMES if length_s < SHORT_S else 1)]
    took_s, timing = sorted(asked)[len(asked) // 2]
    return {
        "length_s": length_s,
        "file_mb": round(path.stat().st_size / 1e6, 2),
        "took_s": round(took_s, 4),
        "times_real_time": round(length_s / took_s, 1),
        "over_idle_mb": round(memory.peak_mb - memory.idle_mb, 1),
        "peak_mb": round(memory.peak_mb, 1),
        "server_timing": timing,
    }


def ask(server: Server, path: Path, query: str) -> tuple[float, str]:
    """Send a file, and return how long the answer took [s] and where the time went."""
    with path.open("rb") as file:
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
    return took_s, timing


def read_precision(server: Server) -> str:
    """Ask the service for the arithmetic it chose."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    connection.request("GET", "/info")
    precision: str = json.loads(connection.getresponse().read())["encoder"]["precision"]
    connection.close()
    return precision


def write_noise(path: Path, length_s: int) -> None:
    """Write noise second by second."""
    generator = np.random.default_rng(0)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        for _ in range(length_s):
            samples = generator.integers(-3000, 3000, SAMPLE_RATE_HZ, dtype=np.int16)
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
