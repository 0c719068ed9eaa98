"""The upper limit: decoding and a bare ONNX Runtime loop over the same clips, in its own process.

    python benchmarks/bare_loop.py '{"seconds": 10, "duration_s": [5.0], "background_load": 0.1}'

It tries one run at a time with all cores and one run per core, and reports both. A load generator
takes a share of one core while it measures a server. A busy process takes the same share here
(`background_load`), so that loop and server have the same resources.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import results
from clips import make_mixed_clips
from model import Model, decode

PERIOD_S = 0.02


def run(graph: Path, **options: Any) -> dict[str, Any]:
    """Run the loop with a graph in its own process and return its figures."""
    return results.run_script(__file__, options, timeout_s=600, PEER_GRAPH=str(graph))


def main() -> None:
    """Run the loop that the argument describes and print its figures as JSON."""
    options = json.loads(sys.argv[1])
    clips = make_mixed_clips(options["duration_s"])
    cores = len(os.sched_getaffinity(0))
    background_load = multiprocessing.Process(
        target=keep_busy, args=(options.get("background_load", 0.0),), daemon=True
    )
    background_load.start()
    modes = {f"1 run of {cores} threads": (1, cores), f"{cores} runs of 1 thread": (cores, 1)}
    figures = {
        name: measure(clips, options["seconds"], runs=runs, threads=threads)
        for name, (runs, threads) in modes.items()
    }
    background_load.terminate()
    sys.stdout.write(json.dumps(figures))


def measure(clips: list[bytes], seconds: float, *, runs: int, threads: int) -> dict[str, float]:
    """Decode and encode clips one by one, in several Python threads at once.

    Args:
        clips: WAV files.
        seconds: Duration of the measurement [s].
        runs: Number of Python threads.
        threads: Threads of the session.
    """
    model = Model(threads)
    times_s: list[float] = []

    def work(first: int, end: float) -> None:
        n = first
        while (start := time.perf_counter()) < end:
            model.embed([decode(clips[n % len(clips)])])
            times_s.append(time.perf_counter() - start)
            n += runs

    work(0, time.perf_counter() + 1)
    times_s.clear()
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
        "clips_per_s": round(len(times_s) / elapsed_s, 2),
        "p50_ms": round(1000 * sorted(times_s)[len(times_s) // 2], 2),
        "cpu_ms_per_clip": round(1000 * cpu_s / len(times_s), 2),
    }


def keep_busy(share: float) -> None:
    """Use a share of one core."""
    while True:
        start = time.perf_counter()
        busy_until = time.process_time() + share * PERIOD_S
        while time.process_time() < busy_until:
            pass
        time.sleep(max(0.0, PERIOD_S - (time.perf_counter() - start)))


if __name__ == "__main__":
    main()
