"""The limit: decoding and a bare ONNX Runtime loop over the same clips, in a process of its own.

    python benchmarks/bare_loop.py '{"seconds": 10, "duration_s": [5.0], "ballast": 0.1}'

It tries one run at a time with all cores and one run per core, and reports each. `ballast` is the
share of one core that a load generator takes beside a server; a process that does nothing takes as
much here, so that both have the same cores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from clips import make_clips
from model import Model, decode

N_CLIPS = 48
PERIOD_S = 0.02


def run(graph: Path, **options: Any) -> dict[str, Any]:
    """Run the loop with a graph in a process of its own and return its figures."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), json.dumps(options)],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PEER_GRAPH": str(graph)},
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Run the loop that the argument describes and print its figures as JSON."""
    given = json.loads(sys.argv[1])
    each = max(1, N_CLIPS // len(given["duration_s"]))
    lengths = [make_clips(each, length, seed=n) for n, length in enumerate(given["duration_s"])]
    clips = [clip for group in zip(*lengths, strict=True) for clip in group]
    cores = len(os.sched_getaffinity(0))
    ballast = multiprocessing.Process(target=burn, args=(given.get("ballast", 0.0),), daemon=True)
    ballast.start()
    ways = {f"1 run of {cores} threads": (1, cores), f"{cores} runs of 1 thread": (cores, 1)}
    figures = {
        name: measure(clips, given["seconds"], runs=runs, threads=threads)
        for name, (runs, threads) in ways.items()
    }
    ballast.terminate()
    sys.stdout.write(json.dumps(figures))


def measure(clips: list[bytes], seconds: float, *, runs: int, threads: int) -> dict[str, float]:
    """Decode and encode clips one by one in so many threads of Python."""
    model = Model(threads)
    taken: list[float] = []

    def work(first: int, end: float) -> None:
        n = first
        while (start := time.perf_counter()) < end:
            model.embed([decode(clips[n % len(clips)])])
            taken.append(time.perf_counter() - start)
            n += runs

    work(0, time.perf_counter() + 1)
    taken.clear()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    workers = [threading.Thread(target=work, args=(n, start + seconds)) for n in range(runs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed_s = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "clips_per_s": round(len(taken) / elapsed_s, 2),
        "p50_ms": round(1000 * sorted(taken)[len(taken) // 2], 2),
        "cpu_ms_per_clip": round(1000 * cpu_s / len(taken), 2),
    }


def burn(share: float) -> None:
    """Take a share of one core and do nothing with it."""
    while True:
        start = time.perf_counter()
        busy_until = time.process_time() + share * PERIOD_S
        while time.process_time() < busy_until:
            pass
        time.sleep(max(0.0, PERIOD_S - (time.perf_counter() - start)))


if __name__ == "__main__":
    main()
