"""The cost of decoding in child processes, relative to threads of the service.

    .venv/service/bin/python benchmarks/decoding.py [SECONDS]

First each format is decoded alternately by both, in this process. Then two services run at the same
time, one of each kind, and get the same requests in turn: those of one client, and those of 16,
which saturate it. Ratios are of neighbouring turns, since the machine may be busy. Processor times
are of all processes of a service.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import load
import numpy as np
import results
import soundfile
from clips import make_clips
from services import NPY, service, tree

from service.audio.decoder import Decoder, decode_blocks, decode_whole
from service.audio.decoder_pool import DecoderPool
from service.audio.decoding import AudioLimits
from service.cli.demo.server import Server
from service.concurrency.deadline import Deadline

CLIP_S = 5.0
DECODES = 60
ROUNDS = 8
FORMATS = {
    "wav 16 kHz": ("WAV", 16_000),
    "wav 44.1 kHz": ("WAV", 44_100),
    "flac 44.1 kHz": ("FLAC", 44_100),
    "ogg 44.1 kHz": ("OGG", 44_100),
    "mp3 44.1 kHz": ("MP3", 44_100),
}
MODES = ("thread", "process")
SATURATING_CLIENTS = 16


def main() -> None:
    """Measure and write ``docs/results/decoding.json``."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    decoding = {name: time_format(*options) for name, options in FORMATS.items()}
    with ExitStack() as opened:
        started = {mode: opened.enter_context(timed_service(mode)) for mode in MODES}
        servers = {mode: server for mode, (server, _) in started.items()}
        alone = [measure(servers, seconds, 1, n) for n in range(ROUNDS)]
        saturated = [measure(servers, seconds, SATURATING_CLIENTS, n) for n in range(ROUNDS)]
        memory = {mode: round(memory_mb(server.pid)) for mode, server in servers.items()}
    results.write(
        "decoding",
        {
            "clip_s": CLIP_S,
            "decode_ms": decoding,
            "ready_after_s": {mode: round(ready_s, 2) for mode, (_, ready_s) in started.items()},
            "memory_mb": memory,
            "one_client": summarise(alone),
            f"{SATURATING_CLIENTS}_clients": summarise(saturated),
        },
    )


def time_format(form: str, rate_hz: int) -> dict[str, Any]:
    """Decode a clip alternately in a thread and in a process; return the times [ms]."""
    data = encode(form, rate_hz)
    pool = DecoderPool(1, deadline_s=60)
    pool.wait_ready()
    decoders: dict[str, Decoder] = {"thread": decode_blocks, "process": pool}
    times: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(DECODES):
        for mode, decoder in decoders.items():
            start = time.perf_counter()
            decode_whole(
                decoder,
                io.BytesIO(data),
                sample_rate=16_000,
                limits=AudioLimits(),
                deadline=Deadline(),
            )
            times[mode].append(1000 * (time.perf_counter() - start))
    pool.close()
    costs = [p - t for t, p in zip(times["thread"], times["process"], strict=True)]
    return {
        **{mode: results.spread(times[mode]) for mode in MODES},
        "median_cost": round(statistics.median(costs), 2),
        "cost_of_the_fastest": round(min(times["process"]) - min(times["thread"]), 2),
    }


def encode(form: str, rate_hz: int) -> bytes:
    """Make a clip of noise in a format."""
    (wav,) = make_clips(1, CLIP_S, rate_hz=rate_hz)
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate_hz, 1, format=form) as encoder:
        for part in np.array_split(samples, 100):  # libsndfile crashes in long writes of Ogg
            encoder.write(part)
    return file.getvalue()


@contextmanager
def timed_service(mode: str) -> Iterator[tuple[Server, float]]:
    """Run a service; give it and the time until it was ready [s]."""
    start = time.perf_counter()
    with service(decode=mode) as server:
        yield server, time.perf_counter() - start


def measure(
    servers: dict[str, Server], seconds: float, clients: int, turn: int
) -> dict[str, dict[str, float]]:
    """Load both services, one after the other; the first one changes from turn to turn."""
    order = MODES if turn % 2 == 0 else MODES[::-1]
    return {mode: load_service(servers[mode], seconds, clients) for mode in order}


def load_service(server: Server, seconds: float, clients: int) -> dict[str, float]:
    """Load a service and return its figures."""
    before_s = all_cpu_s(server.pid)
    requests = load.Load(
        port=server.port, seconds=seconds, clients=clients, duration_s=[CLIP_S], headers=NPY
    )
    figures = load.run(requests)
    used_s = all_cpu_s(server.pid) - before_s
    n_clips = figures["statuses"].get("200", 0)
    return {
        "clips_per_s": figures["clips_per_s"],
        "p50_ms": figures["p50_ms"],
        "p99_ms": figures["p99_ms"],
        "cpu_ms_per_clip": round(1000 * used_s / max(1, n_clips), 2),
    }


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return the medians of both, and the ratio of each turn: its median and its range."""

    def medians(mode: str) -> dict[str, float]:
        names = rounds[0][mode]
        return {name: statistics.median(it[mode][name] for it in rounds) for name in names}

    def ratio(name: str) -> dict[str, float]:
        return results.spread([it["process"][name] / it["thread"][name] for it in rounds], 3)

    costs = [it["process"]["p50_ms"] - it["thread"]["p50_ms"] for it in rounds]
    return {
        **{mode: medians(mode) for mode in MODES},
        "throughput_ratio": ratio("clips_per_s"),
        "cpu_ratio": ratio("cpu_ms_per_clip"),
        "p50_cost_ms": results.spread(costs),
        "rounds": rounds,
    }


def all_cpu_s(pid: int) -> float:
    """Read the processor time of a process and its descendants, the ended ones included [s]."""
    ticks = 0
    for process in tree(pid):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Read the memory of a process and its descendants; shared pages count once [MB]."""
    total = 0
    for process in tree(pid):
        text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith("Pss:"))
        total += int(line.split()[1])
    return total * 1024 / 1e6


if __name__ == "__main__":
    main()
