"""Time and memory of files of up to an hour, and deviation of embedding in chunks.

    .venv/service/bin/python benchmarks/long_file.py

Files of a second to an hour are streamed from the disk to the service, one at a time. Memory is
that of the service's process, also relative to idle. Short files are sent several times; the median
is reported. A clip of three minutes is embedded in chunks and, in one run of the graph, as a whole.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import wave
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import results
from services import BUNDLE, NPY, Memory, exchange, service

from service.bundle.files import load_bundle
from service.cli.demo.server import HOST, Server
from service.inference.encoder import Encoder
from service.inference.onnx_session import open_session

SAMPLE_RATE_HZ = 44_100
LENGTHS_S = (1, 2, 5, 10, 30, 60, 180, 600, 3600)
SHORT_S = 60
REPETITIONS = 9
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
    """Embed a file of a length; several times if it is short."""
    write_noise(path, length_s)
    with Memory(server.pid) as memory:
        answers = [
            send(server, path, query) for _ in range(REPETITIONS if length_s < SHORT_S else 1)
        ]
    elapsed_s, timing = sorted(answers)[len(answers) // 2]
    return {
        "length_s": length_s,
        "file_mb": round(path.stat().st_size / 1e6, 2),
        "took_s": round(elapsed_s, 4),
        "times_real_time": round(length_s / elapsed_s, 1),
        "over_idle_mb": round(memory.peak_mb - memory.idle_mb, 1),
        "peak_mb": round(memory.peak_mb, 1),
        "server_timing": timing,
    }


def send(server: Server, path: Path, query: str) -> tuple[float, str]:
    """Send a file; return the time of the answer [s] and its `Server-Timing`."""
    headers = {"content-type": "audio/wav", "content-length": str(path.stat().st_size), **NPY}
    connection = http.client.HTTPConnection(HOST, server.port, timeout=600)
    with path.open("rb") as file, closing(connection):
        elapsed_ms, _, answered = exchange(connection, "POST", f"/embed{query}", file, headers)
    return elapsed_ms / 1000, answered["server-timing"]


def read_precision(server: Server) -> str:
    """Read the precision that the service has chosen."""
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=10)) as connection:
        _, content, _ = exchange(connection, "GET", "/info")
    precision: str = json.loads(content)["encoder"]["precision"]
    return precision


def write_noise(path: Path, length_s: int) -> None:
    """Write a WAV file of noise, second by second."""
    generator = np.random.default_rng(0)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        for _ in range(length_s):
            samples = generator.integers(-3000, 3000, SAMPLE_RATE_HZ, dtype=np.int16)
            out.writeframes(samples.tobytes())


def compare_with_whole() -> float:
    """Compute the largest deviation of embedding in chunks, relative to the largest value."""
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
